//! Landing pages of the links in e-mails, for installations without a front end.

use poem::http::Method;
use serde_json::{Value, json};

use super::edge::{ask, without_storage};
use super::static_assets::links_in;
use crate::api::fixtures::account::VERIFICATION;
use crate::api::fixtures::common::with;
use crate::on_sqlite;
use crate::support::document::operations;
use crate::support::{Mail, Options, TestApp, TestDatabase};

const PAGES: [&str; 4] = ["/verify-email", "/reset-password", "/disown-account", "/invitation"];

/// Code that a page must not contain, because it would execute untrusted values.
const FORBIDDEN: [&str; 8] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "Function(",
    "setTimeout(\"",
    "javascript:",
];

/// Content of the page at a link.
async fn page(app: &TestApp, link: &str) -> String {
    let answer = ask(app, "GET", link, &[]).await;
    assert_eq!(answer.status.as_u16(), 200, "{link}");
    String::from_utf8(answer.body).unwrap()
}

/// Value of the only attribute with this name.
#[track_caller]
fn attribute<'a>(page: &'a str, name: &str) -> &'a str {
    let begin = format!(" {name}=\"");
    let mut values = page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap());
    let value = values.next().unwrap_or_else(|| panic!("no {name}: {page}"));
    assert!(values.next().is_none(), "two of {name}: {page}");
    value
}

/// Follows the link of an e-mail and sends the request of the page's script.
async fn follow(app: &TestApp, mail: &Mail, path: &str, mut body: Value) {
    let link = mail.text.lines().find_map(|line| line.strip_prefix(&format!("http://127.0.0.1:3000/{path}"))).unwrap();
    // The browser keeps the fragment to itself.
    assert_eq!(link, format!("#token={}", mail.token()));
    let page = page(app, &format!("/{path}")).await;
    body["token"] = mail.token().into();
    app.anonymous().post(format!("/{}", attribute(&page, "data-operation")), body).await.no_content();
}

on_sqlite! {
    async fn verification_and_reset_links_lead_to_working_pages(database: TestDatabase) {
        let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let user = app.user().await;
        user.post_empty("/v1/auth/resend-verification").await.expect(202);
        app.work().await;
        follow(&app, app.mails_to(user.email()).last().unwrap(), "verify-email", json!({"password": "correct horse"})).await;
        assert_eq!(user.get("/v1/me").await.ok()["email_verified"], true);

        app.anonymous().post("/v1/auth/forgot-password", json!({"email": user.email()})).await.expect(202);
        app.work().await;
        follow(&app, app.mails_to(user.email()).last().unwrap(), "reset-password", json!({"password": "battery staple"})).await;
        let login = json!({"email": user.email(), "password": "battery staple"});
        app.anonymous().post("/v1/auth/login", login).await.ok();

        let squatted = app.user().await;
        app.work().await;
        let mails = app.mails_to(squatted.email());
        let verification = mails.iter().find(|mail| mail.subject == VERIFICATION).unwrap();
        follow(&app, verification, "disown-account", json!({})).await;
        squatted.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
    }
}

on_sqlite! {
    async fn the_invitation_link_works_with_and_without_an_account(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let user = app.user().await;
        for email in [user.email(), "new@example.com"] {
            let body = json!({"email": email, "role": "editor"});
            let invitation = owner.post(format!("/v1/projects/{project}/invitations"), body).await.created();
            app.work().await;
            let mails = app.mails_to(email);
            let text = &mails.last().unwrap().text;
            let link = text.lines().find_map(|line| line.strip_prefix("http://127.0.0.1:3000/")).unwrap();
            assert_eq!(link, format!("invitation?id={}", invitation["id"].as_str().unwrap()));
            page(&app, &format!("/{link}")).await;
            // The requests of the page's script, in order.
            let account = json!({"email": email, "password": "correct horse"});
            let session = if email == user.email() {
                app.anonymous().post("/v1/auth/login", account).await.ok()
            } else {
                app.anonymous().post("/v1/auth/login", account.clone()).await.fails(401, "INVALID_CREDENTIALS");
                app.anonymous().post("/v1/auth/register", with(&account, &json!({"name": "New"}))).await.created()
            };
            let client = app.with_token(session["access_token"].as_str().unwrap());
            let (_, id) = link.split_once('=').unwrap();
            assert_eq!(client.post_empty(format!("/v1/invitations/{id}/accept")).await.ok()["role"], "editor");
            client.post_empty("/v1/auth/logout").await.no_content();
            client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        }
    }
}

#[tokio::test]
async fn opening_a_link_has_no_effect_and_leaks_nothing() {
    // The storage always fails, so the pages cannot depend on it.
    let app = without_storage(&[]).await;
    for path in PAGES {
        for (method, path) in [("GET", path.to_owned()), ("HEAD", format!("{path}?token=mt_secret&id=secret"))] {
            let answer = ask(&app, method, &path, &[]).await;
            assert_eq!(answer.status.as_u16(), 200, "{method} {path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
        let known = [("if-none-match", b"*".as_slice())];
        let answer = ask(&app, "GET", path, &known).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control").as_str()), (304, "no-store"), "{path}");
        // The page must not depend on the token, which it would otherwise contain.
        let with_token = page(&app, &format!("{path}?token=mt_secret&id=secret")).await;
        assert!(page(&app, path).await == with_token, "{path}");
    }
}

#[tokio::test]
async fn pages_load_only_own_assets_and_no_inline_code() {
    let app = without_storage(&[]).await;
    for path in PAGES {
        let policy = ask(&app, "GET", path, &[]).await.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.split("; ").any(|other| other == rule), "{path}: {rule} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = page(&app, path).await;
        for forbidden in ["<script>", "<style", " style=", " onclick=", " onsubmit=", "http:", "https:"] {
            assert!(!page.contains(forbidden), "{path}: {forbidden}");
        }
        let links = links_in(&page);
        assert_eq!(links.len(), 2, "{links:?}");
        for link in links {
            // Relative, so that the pages also work behind a proxy with a path prefix.
            assert!(!link.starts_with('/'), "{link}");
            assert_eq!(ask(&app, "GET", &format!("/{link}"), &[]).await.status.as_u16(), 200, "{link}");
        }
    }
    for script in ["/mail-pages/start.js", "/mail-pages/invitation.js"] {
        let script = page(&app, script).await;
        for forbidden in FORBIDDEN.into_iter().chain(["http:", "https:"]) {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
    }
}

#[tokio::test]
async fn pages_match_the_operations_they_call() {
    let app = without_storage(&[]).await;
    for (path, id) in PAGES.into_iter().zip(["verifyEmail", "resetPassword", "disownAccount"]) {
        let page = page(&app, path).await;
        let operation = attribute(&page, "data-operation");
        let found = operations().find(|(other, ..)| other == id).unwrap();
        assert_eq!((&found.1, found.2.as_str()), (&Method::POST, format!("/{operation}").as_str()));
        // Without JavaScript nothing can be sent.
        assert!(page.contains("<noscript>") && page.contains(" hidden>"), "{path}");
    }
    let page = page(&app, "/reset-password").await;
    assert_eq!(attribute(&page, "minlength"), "8");
    assert_eq!(attribute(&page, "autocomplete"), "new-password");
    assert_eq!(attribute(&page, "for"), "password");
    assert!(page.contains("<input id=\"password\""), "{page}");
}

/// Paths of the operations that a script calls, with placeholders for ids.
fn called_paths(script: &str) -> Vec<String> {
    let calls = script.split("call(").skip(1).filter_map(|call| {
        let quote = call.chars().next().filter(|first| "\"`".contains(*first))?;
        call[1..].split(quote).next()
    });
    calls.map(|path| path.replace("${encodeURIComponent(id)}", "{invitation_id}")).collect()
}

#[tokio::test]
async fn the_invitation_page_calls_existing_operations() {
    let script = page(&without_storage(&[]).await, "/mail-pages/invitation.js").await;
    let asked: Vec<String> = called_paths(&script)
        .into_iter()
        .flat_map(|path| match path.strip_suffix("${verb}") {
            Some(path) => vec![format!("{path}accept"), format!("{path}decline")],
            None => vec![path],
        })
        .collect();
    let mut found = Vec::new();
    for path in asked {
        let path = format!("/{path}");
        let operation = operations().find(|(_, method, other, _)| (method, other) == (&Method::POST, &path));
        found.push(operation.unwrap_or_else(|| panic!("unknown operation: POST {path}")).0);
    }
    found.sort();
    assert_eq!(found, ["acceptInvitation", "declineInvitation", "login", "logout", "register"]);
}

#[tokio::test]
async fn the_invitation_page_has_the_fields_for_login_and_registration() {
    let app = without_storage(&[]).await;
    let style = page(&app, "/mail-pages/style.css").await;
    let page = page(&app, "/invitation").await;
    for (id, rules) in [
        ("email", &["type=\"email\"", "autocomplete=\"username\"", "maxlength=\"254\"", "required"][..]),
        ("password", &["type=\"password\"", "autocomplete=\"current-password\"", "required"]),
        ("name", &["autocomplete=\"name\"", "maxlength=\"100\"", "hidden"]),
        ("show", &["type=\"checkbox\""]),
        ("new", &["type=\"checkbox\""]),
    ] {
        let input = page.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap());
        let input = input.into_iter().find(|input| input.contains(&format!("id=\"{id}\"")));
        let input = input.unwrap_or_else(|| panic!("no {id}: {page}"));
        for rule in rules {
            assert!(input.contains(rule), "{id}: {rule} in {input}");
        }
        // Each field has a label, either around it or by `for`.
        let around = format!("<label class=\"choice\"><input {input}>");
        assert!(page.contains(&around) || page.contains(&format!(" for=\"{id}\"")), "{id} has no label");
    }
    for (value, words) in [("accept", "Accept"), ("decline", "Decline")] {
        let button = page.split("<button type=\"submit\" ").find(|rest| rest.contains(&format!("value=\"{value}\"")));
        assert!(button.is_some_and(|button| button.contains(&format!(">{words}</button>"))), "{value}: {page}");
    }
    // The style sheet displays labels as blocks, so it must hide hidden elements explicitly.
    let (labels, hidden) = (style.find("\nlabel {"), style.find("\n[hidden] {\n  display: none;\n}"));
    assert!(labels.is_some() && hidden > labels, "{style}");
    // The outcome is announced to screen readers; without JavaScript nothing can be sent.
    assert_eq!(attribute(&page, "role"), "status");
    assert!(page.contains("<noscript>") && page.contains("<form method=\"post\" hidden>"), "{page}");
}
