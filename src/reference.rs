//! The reference pages under `docs/reference` agree with the code. `UPDATE_DOCS=1 cargo test reference` writes their tables anew.

use std::path::Path;

use crate::app::Exit;
use crate::config;
use crate::ops::metrics::names::{self, Name};

const BEGIN: &str = "<!-- generated -->\n";
const END: &str = "<!-- /generated -->";

/// Compares the generated part of a page with `table`, or writes it.
fn agrees(page: &str, table: &str) {
    let path = format!("{}/docs/reference/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the page has a generated part");
    let (shown, after) = rest.split_once(END).expect("the generated part has an end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let updated = format!("{before}{BEGIN}{table}{END}{after}");
        return std::fs::write(path, updated).expect("the page can be written");
    }
    assert_eq!(shown, table, "{page} differs from the code: UPDATE_DOCS=1 cargo test --lib reference");
}

#[test]
fn each_setting_is_in_the_reference() {
    agrees("settings.md", &config::markdown());
}

#[test]
fn each_metric_is_in_the_reference() {
    let mut table = String::from("| metric | type | meaning |\n| --- | --- | --- |\n");
    for Name { name, help, kind } in names::ALL {
        let ending = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        table += &format!("| `{}_{name}{ending}` | {kind} | {help} |\n", names::PREFIX);
    }
    agrees("metrics.md", &table);
}

#[test]
fn each_exit_code_is_in_the_reference() {
    let page = include_str!("../docs/reference/exit-codes.md");
    let codes =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    let known = [
        Exit::Clean,
        Exit::Failure,
        Exit::Usage,
        Exit::Unjudged,
        Exit::Missing,
        Exit::Bug,
        Exit::LeftOver,
        Exit::Denied,
        Exit::Config,
    ];
    assert_eq!(codes.collect::<Vec<_>>(), known.map(|exit| exit as u8));
}

/// Of the README and the pages of the book, not of the decisions.
#[test]
fn each_link_between_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    for folder in ["docs", "docs/reference", "docs/adr"] {
        let files = std::fs::read_dir(root.join(folder)).expect("the folder is there");
        pages.extend(files.map(|file| file.expect("it can be listed").path()));
    }
    let dead: Vec<String> = pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ending| ending == "md"))
        .flat_map(|page| dead_links(page))
        .collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

fn dead_links(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("the page can be read");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let inside = targets.filter(|target| !target.contains("://") && !target.is_empty());
    inside
        .filter(|target| {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
            !path.exists() || (!anchor.is_empty() && !anchors(&path).iter().any(|known| known == anchor))
        })
        .map(|target| format!("{}: {target}", page.display()))
        .collect()
}

/// What the headings of a page are called in links.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("the page can be read");
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#').map(|line| line.trim_start_matches('#').trim()));
    let word = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let slug = |heading: &str| {
        heading.chars().filter(|c| word(*c)).collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}
