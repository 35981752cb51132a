//! Query plans of comments and invitations: both are found by indexes.

use pocket_tasks::contract::page::{Direction, Sort};
use pocket_tasks::contract::project::invitation::InvitationSort;
use pocket_tasks::contract::task::comment::CommentSort;
use pocket_tasks::repositories::{InvitationScope, Store as _};

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, all, at, new_task};
use super::invitations::{add, new_invitation};
use super::plans::Planner;
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{TestDatabase, databases};

/// Statement with values in place of its parameters.
fn filled(sql: &str, values: &[String]) -> String {
    // From the last, because `$1` is a prefix of `$10`.
    let filled = values.iter().enumerate().rev();
    filled.fold(sql.to_owned(), |sql, (number, value)| sql.replace(&format!("${}", number + 1), value))
}

/// Asserts that a statement uses one of the indexes: the last sent statement with these words, as PostgreSQL received it,
/// on both databases; on SQLite alone, which does not report its statements, one written by hand.
async fn goes_by(
    planner: &mut Planner,
    words: &str,
    by_hand: &str,
    values: impl Fn(&Planner) -> Vec<String>,
    indexes: &[&str],
) {
    if matches!(planner.raw, Raw::Sqlite(_)) {
        let sql = filled(by_hand, &values(planner));
        return planner.goes_by(indexes, &sql).await;
    }
    let sent = planner.sent(words).await;
    let sql = filled(&sent, &values(planner));
    assert!(!sql.contains('$'), "not all parameters are known: {sql}");
    planner.goes_by(indexes, &sql).await;
    let sqlite = databases::sqlite().await;
    let mut other = Planner::new(&sqlite).await;
    let sql = filled(&sent.replace(" FOR UPDATE SKIP LOCKED", ""), &values(&other));
    other.goes_by(indexes, &sql).await;
    sqlite.remove().await;
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "ASC",
        Direction::Desc => "DESC",
    }
}

on_both_databases! {
    async fn the_comments_on_a_task_are_read_off_their_index(database: TestDatabase) {
        let (store, mut planner) = (database.store().await, Planner::new(&database).await);
        let task = new_task(&planner.project);
        add_tasks(&store, [&task]).await;
        add_comments(&store, &[new_comment(&task, &planner.user)]).await;
        for direction in [Direction::Asc, Direction::Desc] {
            let sort = Sort { field: CommentSort::CreatedAt, direction };
            store.read().comments().list(task.id, sort, all()).await.unwrap();
            let word = word(direction);
            let by_hand = format!(
                "SELECT * FROM comments WHERE task_id = $1 ORDER BY created_at {word}, id {word} LIMIT $2 OFFSET $3"
            );
            let values = |planner: &Planner| vec![planner.raw.id(task.id.0), "20".into(), "40".into()];
            let words = format!("\"comments\".\"created\\_at\" {word}");
            goes_by(&mut planner, &words, &by_hand, values, &["comments_by_task"]).await;
        }
    }

    async fn invitations_are_read_off_the_index_of_their_project_or_address(database: TestDatabase) {
        let (store, mut planner) = (database.store().await, Planner::new(&database).await);
        let (project, email) = (planner.project.clone(), planner.user.email.to_string());
        assert!(add(&store, &new_invitation(&project, &planner.user, &email)).await);
        for direction in [Direction::Asc, Direction::Desc] {
            let (sort, word) = (Sort { field: InvitationSort::CreatedAt, direction }, word(direction));
            for (invited, column, index) in [
                (InvitationScope::Project(project.id), "project_id", "invitations_by_project"),
                (InvitationScope::Email(&email), "email", "invitations_by_email"),
            ] {
                store.read().invitations().list(invited, None, at(11), sort, all()).await.unwrap();
                let by_hand = format!(
                    "SELECT i.*, p.name FROM invitations i JOIN projects p ON i.project_id = p.id \
                     WHERE p.deleted_at IS NULL AND i.{column} = $1 \
                     ORDER BY i.created_at {word}, i.id {word} LIMIT $2 OFFSET $3"
                );
                let values = |planner: &Planner| {
                    let whose = if column == "email" { format!("'{email}'") } else { planner.raw.id(project.id.0) };
                    vec![whose, "20".into(), "40".into()]
                };
                let words = format!("\"{}\" = $1 ORDER BY \"invitations\".\"created\\_at\" {word}", column.replace('_', "\\_"));
                goes_by(&mut planner, &words, &by_hand, values, &[index]).await;
            }
        }
    }

    async fn pending_and_expired_invitations_are_found_by_an_index(database: TestDatabase) {
        let (store, mut planner) = (database.store().await, Planner::new(&database).await);
        let project = planner.project.clone();
        assert!(add(&store, &new_invitation(&project, &planner.user, "grace@example.com")).await);
        store.read().invitations().count_pending(project.id, at(11)).await.unwrap();
        let by_hand = "SELECT count(*) FROM invitations WHERE project_id = $1 AND status = $2 AND expires_at > $3";
        let values = |planner: &Planner| vec![planner.raw.id(project.id.0), "'pending'".into(), "11".into()];
        let indexes = ["invitations_one_pending", "invitations_by_project"];
        goes_by(&mut planner, "SELECT COUNT(%FROM \"invitations\"", by_hand, values, &indexes).await;

        let transaction = store.begin().await.unwrap();
        assert_eq!(transaction.invitations().expire(at(2_000), 9).await.unwrap(), 1);
        // Before the commit, because the server reports only the last statement of each connection.
        let by_hand = "UPDATE invitations SET status = $1 WHERE id IN (SELECT id FROM invitations \
                       WHERE status = $2 AND expires_at <= $3 ORDER BY expires_at LIMIT $4)";
        let values = |_: &Planner| vec!["'expired'".into(), "'pending'".into(), "11".into(), "9".into()];
        goes_by(&mut planner, "UPDATE \"invitations\"%SKIP LOCKED", by_hand, values, &["invitations_by_expiry"]).await;
    }

    // Without these indexes, purging an account would scan all comments and invitations.
    async fn created_content_is_found_by_an_index_when_an_account_is_purged(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let user = planner.raw.id(planner.user.id.0);
        for (sql, index) in [
            (format!("SELECT task_id FROM comments WHERE author_id = {user}"), "comments_by_author"),
            (format!("SELECT id FROM invitations WHERE invited_by = {user}"), "invitations_by_inviter"),
            ("SELECT id FROM invitations WHERE email = 'a@b.example'".to_owned(), "invitations_by_email"),
        ] {
            planner.goes_by(&[index], &sql).await;
        }
    }
}
