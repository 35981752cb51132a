//! Guide pages: the Markdown files of `docs/guides`, as HTML.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// The frame of every page.
const PAGE: &str = include_str!("guides/page.html");

/// A program that a guide shows, by the name of its file.
const RECIPES: [(&str, &str); 4] = [
    ("follow_events.mjs", include_str!("../../../openapi/recipes/follow_events.mjs")),
    ("verify_webhook.ts", include_str!("../../../openapi/recipes/verify_webhook.ts")),
    ("verify_webhook.py", include_str!("../../../openapi/recipes/verify_webhook.py")),
    ("verify_webhook.rs", include_str!("../../../openapi/recipes/verify_webhook.rs")),
];

macro_rules! guides {
    ($($name:literal),* $(,)?) => {
        /// The guides in reading order: path and Markdown.
        pub(super) const GUIDES: &[(&str, &str)] = &[
            $((concat!("/guides/", $name), include_str!(concat!("../../../docs/guides/", $name, ".md")))),*
        ];
    };
}

guides![
    "requests",
    "errors",
    "authentication",
    "permissions",
    "tasks",
    "pagination",
    "idempotency",
    "concurrency",
    "sync",
    "webhooks",
    "rate-limits",
    "compatibility",
    "migration-to-v2",
];

/// Renders the guide with this path; an unknown one is empty.
pub(super) fn render(path: &str) -> String {
    let Some((_, markdown)) = GUIDES.iter().find(|(known, _)| *known == path) else { return String::new() };
    let navigation = GUIDES.iter().fold(String::new(), |mut list, (other, markdown)| {
        let current = if *other == path { " aria-current=\"page\"" } else { "" };
        let _ = writeln!(list, "<li><a href=\"{other}\"{current}>{}</a></li>", title(markdown));
        list
    });
    let page = PAGE.replace("{title}", title(markdown)).replace("{navigation}", navigation.trim_end());
    page.replace("{content}", &to_html(&with_recipes(markdown)))
}

/// Returns the text of the first heading.
fn title(markdown: &str) -> &str {
    markdown.lines().next().unwrap_or_default().trim_start_matches('#').trim()
}

/// Replaces lines like `<!-- recipe: FILE -->` by the program.
fn with_recipes(markdown: &str) -> String {
    RECIPES.iter().fold(markdown.to_owned(), |text, (file, program)| {
        let (_, language) = file.rsplit_once('.').unwrap_or_default();
        text.replace(&format!("<!-- recipe: {file} -->"), &format!("```{language}\n{}\n```", program.trim_end()))
    })
}

/// Converts Markdown to HTML. Headings get ids for links, and tables a box of their own in which they scroll.
fn to_html(markdown: &str) -> String {
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut heading: Option<usize> = None;
    for mut event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        if let Event::Start(Tag::Link { dest_url, .. }) = &mut event
            && let Some(path) = served_path(dest_url)
        {
            *dest_url = path.into();
        }
        match &event {
            Event::Start(Tag::Heading { .. }) => heading = Some(events.len()),
            Event::End(TagEnd::Heading(_)) => {
                let start = heading.take().unwrap_or(events.len());
                let text: String = events.get(start..).into_iter().flatten().filter_map(text_of).collect();
                if let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(start) {
                    *id = Some(CowStr::from(anchor(&text)));
                }
            }
            Event::Start(Tag::Table(_)) => events.push(Event::Html("<div class=\"table\" tabindex=\"0\">".into())),
            _ => {}
        }
        let ends_table = matches!(event, Event::End(TagEnd::Table));
        events.push(event);
        if ends_table {
            events.push(Event::Html("</div>\n".into()));
        }
    }
    let mut page = String::new();
    html::push_html(&mut page, events.into_iter());
    page
}

/// Returns the path of the page to which a link between the files of the guides leads.
fn served_path(link: &str) -> Option<String> {
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let path = format!("/guides/{}", file.strip_suffix(".md")?);
    Some(heading.map_or(path.clone(), |heading| format!("{path}#{heading}")))
}

fn text_of<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text),
        _ => None,
    }
}

/// Returns the id of a heading, as code hosts derive it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;

    use super::*;
    use crate::api::openapi::VECTOR;
    use crate::contract::event::EventType;
    use crate::contract::strings::WebhookSecret;
    use crate::webhooks::{SigningKey, signature};

    #[test]
    fn every_guide_is_a_complete_page() {
        for (path, markdown) in GUIDES {
            let page = render(path);
            assert!(page.contains(&format!("<title>{} - ", title(markdown))), "{path}");
            assert_eq!(page.matches("aria-current").count(), 1, "{path}");
            assert_eq!(page.matches("<h1").count(), 1, "{path}");
            for placeholder in ["{title}", "{navigation}", "{content}", "recipe:"] {
                assert!(!page.contains(placeholder), "{path}: {placeholder}");
            }
        }
    }

    #[test]
    fn the_feed_client_knows_every_event_type() {
        let listed: Vec<String> = RECIPES[0].1.lines().filter_map(listed).flatten().collect();
        assert_eq!(listed, EventType::PUBLISHED.map(EventType::as_str));
    }

    /// Returns the types of a line like `...["added", "removed"].map((verb) => `member.${verb}`),`.
    fn listed(line: &str) -> Option<Vec<String>> {
        let (verbs, resource) = line.trim().strip_prefix("...[")?.split_once("].map((verb) => `")?;
        let (resource, _) = resource.split_once('.')?;
        Some(verbs.split(", ").map(|verb| format!("{resource}.{}", verb.trim_matches('"'))).collect())
    }

    #[test]
    fn the_webhook_guide_contains_the_test_vector() {
        let (secret, body) = (WebhookSecret::example(), r#"{"type":"webhook.test"}"#);
        let key = SigningKey::parse(&secret).unwrap();
        assert_eq!(signature([&key], VECTOR.id, VECTOR.timestamp.parse().unwrap(), body), VECTOR.signature);
        let (_, guide) = GUIDES.iter().find(|(path, _)| *path == "/guides/webhooks").unwrap();
        for shown in [&*secret, VECTOR.id, VECTOR.timestamp, body, VECTOR.signature] {
            assert!(guide.contains(&format!("`{shown}`")), "{shown}");
        }
    }

    #[test]
    fn links_between_guides_have_targets() {
        for (path, markdown) in GUIDES {
            let links = markdown.split("](").skip(1).filter_map(|rest| served_path(rest.split(')').next()?));
            for link in links.collect::<Vec<_>>() {
                let (page, heading) = link.split_once('#').map_or((&*link, None), |(page, id)| (page, Some(id)));
                let page = render(page);
                assert!(!page.is_empty(), "{path} links to {link}");
                let id = heading.map(|heading| format!("id=\"{heading}\""));
                assert!(id.is_none_or(|id| page.contains(&id)), "{path} links to {link}");
            }
        }
    }

    #[test]
    fn markdown_becomes_html_with_ids_and_scrolling_tables() {
        let html = to_html("## If-Match, *or* `412`\n\n| a | b |\n|---|---|\n| 1 | [<2](errors.md#codes) |\n");
        assert!(html.contains("<a href=\"/guides/errors#codes\">"), "{html}");
        assert!(html.starts_with("<h2 id=\"if-match-or-412\">"), "{html}");
        assert!(html.contains("<div class=\"table\" tabindex=\"0\"><table>") && html.contains("&lt;2"), "{html}");
    }
}
