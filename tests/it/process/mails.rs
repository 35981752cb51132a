//! E-mail through a real SMTP server, including failures.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::contract::strings::Email;
use pocket_tasks::mail::{EmailContent, MailError, MailSettings, Mailer, Recipient, SingleLine};
use serde_json::{Value, json};

use super::http;
use super::program::{Ended, Server, TIMEOUT, run};
use super::queue::{jobs, until_all_is_done, until_jobs, until_put_off};
use super::smtp::{MailServer, Received};
use crate::support::Mail;

const USER: &str = "us er@exa:mple";
const PASSWORD: &str = "hunter2 p@ss/w:rd?#100%é";

fn encoded(text: &str) -> String {
    let encode = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// Starts a server that sends e-mail to this URL.
#[track_caller]
fn serving(folder: &Path, url: &str, variables: &[(&str, &str)]) -> Server {
    let defaults = [
        ("SMTP_URL", url),
        ("MAIL_FROM", "Pocket Tasks <tasks@example.com>"),
        ("PUBLIC_URL", "https://tasks.example.com/app"),
        ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
    ];
    Server::start(folder, &[&defaults, variables].concat())
}

/// URL with credentials.
fn with_account(scheme: &str, mails: &MailServer, password: &str) -> String {
    format!("{scheme}://{}:{}@127.0.0.1:{}", encoded(USER), encoded(password), mails.port)
}

/// Asserts that logs and jobs contain nothing that belongs only in an e-mail or to the mail server.
#[track_caller]
fn assert_no_secrets(ended: &Ended, jobs: &[Value], mails: &[Received]) {
    let printed = format!("{}{jobs:?}", ended.output.join("\n"));
    let login = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    let tokens = mails.iter().filter(|received| received.mail.text.contains("#token=")).map(|it| it.mail.token());
    for secret in tokens.chain(["hunter2", &encoded(PASSWORD), &login, "correct horse", "ada@example.com"]) {
        assert!(!printed.contains(secret), "{secret:?} in {printed}");
    }
}

#[test]
fn a_new_user_receives_a_welcome_and_a_verification_link() {
    let Some(mut mails) = MailServer::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = serving(folder.path(), &mails.url(), &[]);
    let session = server.register("ada@example.com");
    assert_eq!(session["user"]["email_verified"], false);
    let received = mails.welcome_and_verification();
    for Received { mail, event } in &received {
        assert_eq!((&event["from"], &event["to"]), (&json!("tasks@example.com"), &json!(["ada@example.com"])));
        assert_eq!(mail.to, "ada@example.com", "the address is not verified yet");
        assert!(mail.id.ends_with("@example.com>"), "{}", mail.id);
        assert!(mail.raw.contains("\r\nFrom: \"Pocket Tasks\" <tasks@example.com>\r\n"), "{}", mail.raw);
        assert!(mail.text.starts_with("Hello there,") && mail.html.contains("Hello there,"), "{}", mail.raw);
    }
    let [welcome, verification] = received.each_ref().map(|it| &it.mail);
    assert_ne!(welcome.id, verification.id);
    assert!(welcome.text.lines().any(|line| line == "https://tasks.example.com/app"), "{}", welcome.text);
    let link = format!("https://tasks.example.com/app/verify-email#token={}", verification.token());
    assert!(verification.text.lines().any(|line| line == link), "{}", verification.text);
    assert!(verification.html.contains(&format!("href=\"{link}\"")), "{}", verification.html);

    let proof = json!({"token": verification.token(), "password": "correct horse"});
    http::post(server.address, "/v1/auth/verify-email", None, &proof).expect(204);
    let me = http::get(server.address, "/v1/me", session["access_token"].as_str()).expect(200);
    assert_eq!(me["email_verified"], true);
    until_all_is_done(&mut server.program, folder.path(), &[]);
    assert_no_secrets(&server.stop(), &[], &received);
}

#[test]
fn credentials_are_sent_only_over_tls() {
    for (scheme, tls) in [("smtps", "implicit"), ("smtp+starttls", "starttls")] {
        let options = ["--tls", tls, "--user", USER, "--password", PASSWORD];
        let Some(mut mails) = MailServer::start(&options) else { return };
        let folder = tempfile::tempdir().unwrap();
        let authority = mails.authority();
        let url = with_account(scheme, &mails, PASSWORD);
        // Not even debug logs contain the password.
        let server = serving(folder.path(), &url, &[("SSL_CERT_FILE", &authority), ("RUST_LOG", "trace")]);
        server.register("ada@example.com");
        let received = mails.welcome_and_verification();
        for Received { event, .. } in &received {
            assert_eq!((&event["tls"], &event["user"]), (&json!(true), &json!(USER)), "{scheme}");
        }
        assert_no_secrets(&server.stop(), &[], &received);
        for said in in_clear(&mails.stop()) {
            assert!(is_harmless(&said), "{scheme}: {said:?}");
        }
    }
}

/// Lines that the mail server received outside of TLS.
fn in_clear(events: &[Value]) -> Vec<String> {
    let received = events.iter().filter(|event| event["event"] == "received" && event["tls"] == false);
    received.flat_map(|event| event["text"].as_str().unwrap().lines().map(str::to_owned)).collect()
}

/// Returns whether the line only identifies the client or starts TLS.
fn is_harmless(line: &str) -> bool {
    ["EHLO ", "STARTTLS", "QUIT"].iter().any(|command| line.starts_with(command))
}

#[test]
fn nothing_is_sent_to_a_mail_server_that_cannot_be_trusted() {
    let account = ["--user", USER, "--password", PASSWORD];
    let named = ["--certificate-for", "mail.example.com"];
    for (what, scheme, tls, options, knows_authority) in [
        ("no encryption", "smtp+starttls", "none", &[][..], true),
        ("no encryption from the beginning", "smtps", "none", &[], true),
        ("a certificate of another", "smtps", "implicit", &named, true),
        ("a certificate of another, later", "smtp+starttls", "starttls", &named, true),
        ("a certificate of an unknown authority", "smtps", "implicit", &[], false),
        ("a certificate of an unknown authority, later", "smtp+starttls", "starttls", &[], false),
    ] {
        let options = [&["--tls", tls][..], &account, options].concat();
        let Some(mails) = MailServer::start(&options) else { return };
        let Some(other) = MailServer::start(&["--tls", "implicit"]) else { return };
        let authority = if knows_authority && tls != "none" { mails.authority() } else { other.authority() };
        let folder = tempfile::tempdir().unwrap();
        let url = with_account(scheme, &mails, PASSWORD);
        let mut server = serving(folder.path(), &url, &[("SSL_CERT_FILE", &authority)]);
        server.register("ada@example.com");
        let jobs = until_put_off(&mut server.program, folder.path(), 2);
        let ended = server.stop();
        assert!(
            ended.log().iter().any(|entry| entry["message"] == "job failed, retrying later"),
            "{what}: it is not logged"
        );
        assert_no_secrets(&ended, &jobs, &[]);
        let events = mails.stop();
        for event in &events {
            assert!(event["tls"] != true && event["event"] != "mail", "{what}: {event}");
        }
        let clear = in_clear(&events);
        if scheme == "smtp+starttls" {
            assert!(clear.iter().all(|line| is_harmless(line)), "{what}: {clear:?}");
        } else {
            // A TLS handshake is not text and contains none of our data.
            assert!(!clear.concat().contains("hunter2") && !clear.concat().contains("AUTH"), "{what}: {clear:?}");
        }
    }
}

#[test]
fn a_slow_mail_server_delays_neither_responses_nor_other_jobs() {
    let Some(mut mails) = MailServer::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    mails.tell("hold");
    let mut server = serving(folder.path(), &mails.url(), &[]);
    let session = server.register("ada@example.com");
    mails.until("held");
    // The response arrives although the maximum number of e-mails is in progress.
    server.register("grace@example.com");
    server.register("zoe@example.com");
    mails.until("held");
    mails.until("held");

    let token = session["access_token"].as_str();
    let project = http::post(server.address, "/v1/projects", token, &json!({"name": "Kitchen"})).expect(201);
    let project = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    for status in ["done", "todo"] {
        let task = json!({"title": "Paint", "status": status});
        http::post(server.address, &format!("{project}/tasks"), token, &task).expect(201);
    }
    let is_mail = |job: &Value| job["kind"].as_str().unwrap().ends_with("_email");
    let left = until_jobs(&mut server.program, folder.path(), &[], TIMEOUT, |jobs| jobs.iter().all(is_mail));
    assert_eq!(left.len(), 6, "a mail was sent: {left:#?}");
    let project = http::get(server.address, &project, token).expect(200);
    assert_eq!(project["completion_percentage"], 50);

    mails.tell("accept");
    let mut to: Vec<_> = (0..6).map(|_| mails.next().event["to"][0].as_str().unwrap().to_owned()).collect();
    to.sort();
    to.dedup();
    assert_eq!(to, ["ada@example.com", "grace@example.com", "zoe@example.com"]);
    until_all_is_done(&mut server.program, folder.path(), &[]);
    server.stop();
}

#[test]
fn an_email_that_fails_once_is_sent_again_with_the_same_id() {
    for (conduct, event) in [("451", "refused"), ("close", "closed")] {
        let Some(mut mails) = MailServer::start(&[]) else { return };
        let folder = tempfile::tempdir().unwrap();
        mails.tell(conduct);
        let mut server = serving(folder.path(), &mails.url(), &[]);
        server.register("ada@example.com");
        let failures = [mails.until(event), mails.until(event)];
        until_put_off(&mut server.program, folder.path(), 1);
        mails.tell("accept");
        let received = mails.welcome_and_verification();
        if event == "closed" {
            let mut first = failures.map(|event| Mail::read(event["content"].as_str().unwrap()).id);
            let mut then = received.each_ref().map(|it| it.mail.id.clone());
            first.sort();
            then.sort();
            assert_eq!(first, then, "the e-mail must have the same message id");
        }
        until_all_is_done(&mut server.program, folder.path(), &[]);
        assert_no_secrets(&server.stop(), &[], &received);
    }
}

#[test]
fn email_waits_for_the_mail_server_to_return() {
    let Some(mails) = MailServer::start(&[]) else { return };
    let (url, port) = (mails.url(), mails.port.to_string());
    mails.stop();
    let folder = tempfile::tempdir().unwrap();
    let mut server = serving(folder.path(), &url, &[]);
    server.register("ada@example.com");
    let jobs = until_put_off(&mut server.program, folder.path(), 1);
    assert!(jobs.iter().all(|job| job["last_error"].as_str().unwrap().contains("refused")), "{jobs:#?}");
    let Some(mut mails) = MailServer::start(&["--port", &port]) else { return };
    let received = mails.welcome_and_verification();
    until_all_is_done(&mut server.program, folder.path(), &[]);
    assert_no_secrets(&server.stop(), &jobs, &received);
}

#[test]
fn a_permanently_rejected_email_is_dead_until_it_is_retried_manually() {
    let Some(mut mails) = MailServer::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    mails.tell("550");
    let mut server = serving(folder.path(), &mails.url(), &[]);
    server.register("ada@example.com");
    let is_dead = |job: &Value| job["state"] == "dead" && job["attempts"] == 1;
    let dead = until_jobs(&mut server.program, folder.path(), &[], TIMEOUT, |jobs| {
        jobs.len() == 2 && jobs.iter().all(is_dead)
    });
    let errors: Vec<_> = dead.iter().map(|job| job["last_error"].as_str().unwrap()).collect();
    assert!(errors.iter().all(|error| error.contains("550") && error.contains("as the test requires")), "{errors:?}");

    mails.tell("accept");
    let ids: Vec<_> = dead.iter().map(|job| job["id"].as_str().unwrap()).collect();
    let arguments = [&["jobs", "retry"], &ids[..]].concat();
    let retried = run(folder.path(), &arguments, &[("DATA_DIR", "data")]).succeeded();
    assert_eq!(retried.output, ids.iter().map(|id| format!("{id} is due now.")).collect::<Vec<_>>());
    let received = mails.welcome_and_verification();
    until_all_is_done(&mut server.program, folder.path(), &[]);
    assert_no_secrets(&server.stop(), &dead, &received);
}

#[test]
fn email_waits_while_the_mail_server_rejects_the_password() {
    let options = ["--tls", "starttls", "--user", USER, "--password", PASSWORD];
    let Some(mut mails) = MailServer::start(&options) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = mails.authority();
    let wrong = with_account("smtp+starttls", &mails, "hunter2 but another");
    let mut server = serving(folder.path(), &wrong, &[("SSL_CERT_FILE", &authority)]);
    server.register("ada@example.com");
    let waiting = until_put_off(&mut server.program, folder.path(), 2);
    assert!(waiting.iter().all(|job| job["last_error"].as_str().unwrap().contains("535")), "{waiting:#?}");
    assert_no_secrets(&server.stop(), &waiting, &[]);
    assert_eq!(jobs(folder.path(), &[]).len(), 2);

    // The operator fixes the problem.
    let right = with_account("smtp+starttls", &mails, PASSWORD);
    let mut server = serving(folder.path(), &right, &[("SSL_CERT_FILE", &authority)]);
    let received = mails.welcome_and_verification();
    until_all_is_done(&mut server.program, folder.path(), &[]);
    assert_no_secrets(&server.stop(), &[], &received);
}

/// Sends an arbitrary e-mail.
async fn send(mailer: Arc<Mailer>) -> Result<(), MailError> {
    let to = Recipient { name: Some(SingleLine::new("Ada")), email: Email::new_unchecked("ada@example.com") };
    let content = EmailContent { subject: "Hello", text: "Hello".to_owned(), html: "<p>Hello</p>".to_owned() };
    mailer.send(new_uuid(), &to, content).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_email_leaves_no_response_for_the_next_one() {
    let Some(mut mails) = MailServer::start(&[]) else { return };
    let from = "Pocket Tasks <tasks@example.com>".to_owned();
    let settings = MailSettings { smtp_url: Some(mails.url().into()), from, directory: "unused".into() };
    let mailer = Arc::new(Mailer::new(&settings).unwrap());
    send(Arc::clone(&mailer)).await.unwrap();
    mails.tell("hold");
    let cancelled = tokio::spawn(send(Arc::clone(&mailer)));
    mails.until("held");
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    // The delayed response is sent now, if the connection is still open.
    mails.tell("accept");
    mails.tell("late 451");
    let refused = send(mailer).await;
    assert!(matches!(refused, Err(MailError::Failed(_))), "{refused:?}");
    mails.until("refused");
}
