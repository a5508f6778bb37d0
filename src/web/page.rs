//! The page's own files, and all files of a site together.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::options::SiteOptions;
use super::plan_file::PlanFile;
use crate::base64::base64;
use crate::data::digits::skeletons_script;
use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;

macro_rules! assets {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../web/", $name)))),*]
    };
}

/// The files of the page in `web`, which are the same for every network, `index.html` first.
const ASSETS: [(&str, &str); 21] = assets![
    "index.html",
    "page.css",
    "random.js",
    "site.js",
    "runner.js",
    "cpu.js",
    "digits.js",
    "prepare.js",
    "picture.js",
    "colours.js",
    "sums.js",
    "pad.js",
    "bars.js",
    "maps.js",
    "behind.js",
    "inside.js",
    "chart.js",
    "examples.js",
    "train.js",
    "panel.js",
    "page.js"
];

/// The skeletons of the built-in digits, which the page draws.
const SKELETONS: &str = "skeletons.js";

/// The script that follows a run, which only a server's page refers to.
const FOLLOW: &str = "follow.js";

/// The names and texts of the page's files, `index.html` first.
fn assets() -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
    let files = ASSETS.map(|(name, text)| (name, Cow::Borrowed(text)));
    let skeletons = (SKELETONS, Cow::Owned(skeletons_script()));
    files.into_iter().chain([skeletons])
}

/// The recorded plans, which take a seventh of their size when packed.
const PLAN: &str = "plan.json.gz";
/// The weights.
const WEIGHTS: &str = "weights.safetensors";

/// The text in gzip's format, without a time.
fn packed(text: &str) -> io::Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(text.as_bytes())?;
    writer.finish()
}

/// Script text that may stand between tags: `</script` and `<!--` occur only in strings, comments
/// and regular expressions, where the escapes change nothing.
fn inline(text: &str) -> String {
    text.replace("</", "<\\/").replace("<!--", "\\u003c!--")
}

/// The page with a file in place of the tag that refers to it.
fn embedded(page: &str, name: &str, text: &str) -> String {
    let script = format!("<script src=\"{name}\"></script>");
    let style = format!("<link rel=\"stylesheet\" href=\"{name}\">");
    let page = page.replace(&script, &format!("<script>\n{}</script>", inline(text)));
    page.replace(&style, &format!("<style>\n{text}</style>"))
}

/// A site: the contents of its files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebSite {
    /// The text of `plan.json.gz`.
    pub plan: String,
    /// `plan.json.gz`.
    packed_plan: Vec<u8>,
    /// `weights.safetensors`.
    pub weights: Vec<u8>,
    /// What the page cannot do with this network, one line each.
    pub left_out: Vec<String>,
}

impl WebSite {
    /// The site of a network with these weights. Needs no GPU.
    ///
    /// # Errors
    /// A model that no plan can be made of, a batch size of 0, or a tensor that is larger than
    /// WebGPU guarantees.
    pub fn new(model: &Sequential, state: &State, options: &SiteOptions) -> Result<Self> {
        let plan = PlanFile::new(model, &state.layout, options)?;
        let unwritten = |e: &dyn Display| Error::Argument(format!("cannot write the page: {e}"));
        let text = serde_json::to_string(&plan).map_err(|e| unwritten(&e))?;
        let packed_plan = packed(&text).map_err(|e| unwritten(&e))?;
        let weights = weights::to_bytes(model, state).map_err(|e| unwritten(&e))?;
        Ok(Self {
            plan: text,
            packed_plan,
            weights,
            left_out: plan.left_out,
        })
    }

    /// The names of a site's files, in the order of [`WebSite::files`].
    pub fn file_names() -> Vec<&'static str> {
        let own = [PLAN, WEIGHTS];
        assets().map(|(name, _)| name).chain(own).collect()
    }

    /// The contents of the site's files, for a web server.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let own = [self.packed_plan.clone(), self.weights.clone()];
        let assets = assets().map(|(_, text)| text.into_owned().into_bytes());
        assets.chain(own).collect()
    }

    /// The files of a page that follows a run: `index.html`, in place of the site's own, and a script
    /// that asks the server for the run's `follow.json` and for newer weights.
    pub fn follow_files() -> [(&'static str, String); 2] {
        let (index, page) = ASSETS[0];
        let tag = |name: &str| format!("<script src=\"{name}\"></script>\n");
        let last = tag("page.js");
        let both = last.clone() + &tag(FOLLOW);
        let script = include_str!("../../web/follow.js");
        [
            (index, page.replace(&last, &both)),
            (FOLLOW, script.to_owned()),
        ]
    }

    /// The whole site as one page that works from disk.
    pub fn single(&self) -> String {
        let page = assets()
            .reduce(|(index, page), (name, text)| (index, embedded(&page, name, &text).into()))
            .map_or_else(String::new, |(_, page)| page.into_owned());
        let data = [
            (PLAN, base64(&self.packed_plan)),
            (WEIGHTS, base64(&self.weights)),
        ];
        let data: String = (data.iter())
            .map(|(id, text)| format!("<script type=\"text/plain\" id=\"{id}\">{text}</script>\n"))
            .collect();
        // Before the first script, which reads it.
        match page.find("<script>") {
            Some(at) => format!("{}{data}{}", &page[..at], &page[at..]),
            None => page + &data,
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::EnumCount as _;

    use super::*;
    use crate::model::Layer;

    #[test]
    fn the_single_page_refers_to_no_file() {
        let site = WebSite {
            plan: "{}".into(),
            packed_plan: packed("{}").unwrap(),
            weights: vec![1, 2, 3],
            left_out: Vec::new(),
        };
        let page = site.single();
        let links = page.matches(" href=").count();
        assert_eq!((links, page.matches(" href=\"data:").count()), (1, 1));
        assert!(!page.contains(" src="), "{page}");
        assert!(page.contains("id=\"plan.json.gz\">H4sI"), "{page}");
        assert!(page.contains("id=\"weights.safetensors\">AQID</script>"));
        let scripts = ["<script", "</script>"].map(|tag| page.matches(tag).count());
        assert_eq!(scripts[0], scripts[1]);
    }

    #[test]
    fn the_page_refers_to_each_of_its_files_once() {
        let page = ASSETS[0].1;
        for (name, _) in assets().skip(1) {
            assert_eq!(page.matches(&format!("\"{name}\"")).count(), 1, "{name}");
        }
    }

    #[test]
    fn only_a_page_that_follows_asks_for_more() {
        let [(index, page), (name, script)] = WebSite::follow_files();
        assert_eq!((index, name), (ASSETS[0].0, FOLLOW));
        let end = page.find("src=\"page.js\"").unwrap();
        assert!(page[end..].contains("<script src=\"follow.js\"></script>"));
        assert!(script.contains("'follow.json'"));
        for (name, text) in assets() {
            assert!(!text.contains("follow.js"), "{name}");
        }
    }

    #[test]
    fn every_kind_of_layer_is_computed_in_javascript() {
        let script = include_str!("../../web/cpu.js");
        let start = script.find("const LAYERS = {").unwrap();
        let table = script[start..].split("\n};").next().unwrap();
        let kinds = table.lines().filter(|line| {
            let name = line
                .strip_prefix("  ")
                .and_then(|line| line.split(':').next());
            name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        });
        assert_eq!(kinds.count(), Layer::COUNT);
    }
}
