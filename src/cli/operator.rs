//! The operating-system user who runs a command, for the log and the audit log.

use crate::services::Operator;

/// Returns the operator.
pub(super) fn current() -> Operator {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = user_name().or_else(|| variable("USER")).unwrap_or_else(|| "unknown".to_owned());
    match variable("SUDO_USER") {
        Some(user) if name == "root" => Operator::new(&format!("{name} (sudo by {user})")),
        _ => Operator::new(&name),
    }
}

/// Returns the name of the effective user of the process, or the number of a user without a name.
///
/// Not from `USER`, which is missing in containers and kept by `su`.
#[cfg(target_os = "linux")]
fn user_name() -> Option<String> {
    use std::os::linux::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.st_uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(&users, &uid).map_or_else(|| format!("uid {uid}"), str::to_owned))
}

#[cfg(not(target_os = "linux"))]
const fn user_name() -> Option<String> {
    None
}

/// Finds the name of a user by number, in the format of `/etc/passwd`.
#[cfg(target_os = "linux")]
fn name_of<'t>(users: &'t str, uid: &str) -> Option<&'t str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\n\nada:x:1000:100::/home/ada:/bin/sh\n";
        assert_eq!((name_of(users, "0"), name_of(users, "1000")), (Some("root"), Some("ada")));
        assert_eq!((name_of(users, "100"), name_of("", "0")), (None, None));
        assert!(!current().to_string().is_empty());
    }
}
