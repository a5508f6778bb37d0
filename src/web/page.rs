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

/// The scripts of the page that is one file, in the order in which they run.
const SCRIPTS: &str = "scripts.js.gz";

/// The bytes in gzip's format, without a time.
fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes)?;
    writer.finish()
}

/// The page cannot be made.
fn unwritten(reason: &dyn Display) -> Error {
    Error::Argument(format!("cannot write the page: {reason}"))
}

/// A page's text with what stands in place of each line that is the tag of one of its files; the
/// others stay.
fn embedded(page: &str, mut replaced: impl FnMut(&str) -> Option<String>) -> String {
    let lines = page.split_inclusive('\n');
    let lines = lines.map(|line| replaced(line.trim_end()).map_or(line.into(), Cow::Owned));
    lines.collect::<Vec<Cow<'_, str>>>().concat()
}

/// A file in the page itself, in base64.
fn in_page(name: &str, bytes: &[u8]) -> String {
    let text = base64(bytes);
    format!("<script type=\"text/plain\" id=\"{name}\">{text}</script>\n")
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
        let text = serde_json::to_string(&plan).map_err(|e| unwritten(&e))?;
        let packed_plan = packed(text.as_bytes()).map_err(|e| unwritten(&e))?;
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

    /// The whole site as one page that works from disk: the scripts and the data are packed.
    ///
    /// # Errors
    /// The data cannot be packed.
    pub fn single(&self) -> Result<String> {
        let assets: Vec<_> = assets().collect();
        let text_of = |tag: &str, [before, after]: [&str; 2]| {
            let name = tag.strip_prefix(before)?.strip_suffix(after)?;
            let (_, text) = assets.iter().find(|(asset, _)| *asset == name)?;
            Some(text.as_ref())
        };
        // In the order of their tags.
        let mut scripts = String::new();
        let page = embedded(ASSETS[0].1, |tag| {
            if let Some(text) = text_of(tag, ["<script src=\"", "\"></script>"]) {
                scripts.push_str(text);
                return Some(String::new());
            }
            let style = text_of(tag, ["<link rel=\"stylesheet\" href=\"", "\">"])?;
            Some(format!("<style>\n{style}</style>\n"))
        });
        let pack = |bytes: &[u8]| packed(bytes).map_err(|e| unwritten(&e));
        let data = in_page(SCRIPTS, &pack(scripts.as_bytes())?)
            + &in_page(PLAN, &self.packed_plan)
            + &in_page(WEIGHTS, &pack(&self.weights)?);
        let start = include_str!("../../web/single.js");
        let end = "</body>";
        let all = format!("{data}<script>\n{start}</script>\n{end}");
        Ok(page.replace(end, &all))
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
            packed_plan: packed(b"{}").unwrap(),
            weights: vec![1, 2, 3],
            left_out: Vec::new(),
        };
        let page = site.single().unwrap();
        let links = page.matches(" href=").count();
        assert_eq!((links, page.matches(" href=\"data:").count()), (1, 1));
        assert!(!page.contains(" src="), "{page}");
        assert!(page.contains("id=\"plan.json.gz\">H4sI"), "{page}");
        assert!(page.contains("id=\"weights.safetensors\">H4sI"), "{page}");
        let scripts = ["<script", "</script>", "<script type=\"text/plain\" id="];
        assert_eq!(scripts.map(|tag| page.matches(tag).count()), [4, 4, 3]);
        assert!(page.ends_with("</script>\n</body>\n</html>\n"), "{page}");
    }

    #[test]
    fn the_single_page_packs_each_script_in_the_order_of_the_tags() {
        let site = WebSite {
            plan: "{}".into(),
            packed_plan: Vec::new(),
            weights: Vec::new(),
            left_out: Vec::new(),
        };
        let page = site.single().unwrap();
        let of = |names: &[&str]| {
            let text = |name| assets().find(|asset| asset.0 == name).unwrap().1;
            names.iter().copied().map(text).collect::<Vec<_>>().concat()
        };
        let tags = ASSETS[0].1.split("<script src=\"").skip(1);
        let names: Vec<_> = tags.map(|tag| tag.split('"').next().unwrap()).collect();
        // All but the page and its style.
        assert_eq!(names.len(), assets().count() - 2);
        let scripts = in_page(SCRIPTS, &packed(of(&names).as_bytes()).unwrap());
        assert!(page.contains(&scripts));
        assert!(page.contains(&of(&["page.css"])));
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
