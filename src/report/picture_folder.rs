//! The pictures of a report as files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Figure;
use crate::data::bounded::read_text;
use crate::disk;
use crate::error::{Error, Result};

/// The file that names the pictures of the report, so that a later report replaces them and no
/// others.
const LIST: &str = "pictures.txt";
/// The list's first line.
const HEAD: &str = "The pictures of a report of cnn-gpu, which the next report replaces:";

/// Writes the pictures into a folder, which is made if it does not exist, in place of those of an
/// earlier report.
///
/// # Errors
/// The folder holds another file with the name of a picture, two pictures have the same name, or a
/// file cannot be written.
pub(super) fn save<'a>(
    folder: &Path,
    pictures: impl Iterator<Item = &'a Figure>,
) -> Result<Vec<PathBuf>> {
    disk::make_folder(folder).map_err(|e| {
        let problem = format!("cannot make the folder for the pictures: {e}");
        Error::file(folder, problem).caused_by(e)
    })?;
    let pictures: Vec<&Figure> = pictures.collect();
    let earlier = earlier(folder);
    let names = names(folder, &pictures, &earlier)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        disk::replace(&path, bytes).map_err(|e| {
            Error::file(&path, format!("cannot write the picture: {e}")).caused_by(e)
        })?;
        Ok(path)
    };
    // First the list, so that what was written before a failure can be replaced.
    let all: Vec<&str> = names.union(&earlier).map(String::as_str).collect();
    write(LIST, format!("{HEAD}\n{}\n", all.join("\n")).as_bytes())?;
    let files = pictures
        .iter()
        .map(|figure| write(&figure.file_name(), &figure.drawing.to_file()));
    let files = files.collect::<Result<_>>()?;
    for gone in earlier.difference(&names) {
        // A picture that stays does no harm.
        let _ = fs::remove_file(folder.join(gone));
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    write(LIST, format!("{HEAD}\n{}\n", all.join("\n")).as_bytes())?;
    Ok(files)
}

/// The names of the files of an earlier report.
fn earlier(folder: &Path) -> BTreeSet<String> {
    let text = read_text(&folder.join(LIST)).unwrap_or_default();
    let Some(names) = text.strip_prefix(HEAD) else {
        return BTreeSet::new();
    };
    // Whoever wrote the list, nothing outside the folder is meant.
    let is_name = |name: &&str| Path::new(name).file_name() == Some(name.as_ref());
    names.lines().filter(is_name).map(String::from).collect()
}

/// The names of the files, none of which may be another's.
fn names(
    folder: &Path,
    pictures: &[&Figure],
    earlier: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for figure in pictures {
        let name = figure.file_name();
        let path = folder.join(&name);
        if !earlier.contains(&name) && path.exists() {
            return Err(Error::file(
                &path,
                "is no picture of an earlier report, so it is not overwritten; choose another folder",
            ));
        }
        if !names.insert(name) {
            let problem = "two pictures of the report have this name";
            return Err(Error::file(&path, problem));
        }
    }
    let list = folder.join(LIST);
    if earlier.is_empty() && list.exists() {
        let problem = "is not the list of an earlier report's pictures; choose another folder";
        return Err(Error::file(&list, problem));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Drawing;

    fn figures(ids: &[&str]) -> Vec<Figure> {
        let figure = |id: &&str| Figure::new(*id, Drawing::Png(vec![1]), "A picture.");
        ids.iter().map(figure).collect()
    }

    #[test]
    fn pictures_of_an_earlier_report_are_replaced_and_other_files_are_not() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        fs::write(folder.join("mine.png"), "mine").unwrap();
        let save = |ids: &[&str]| save(folder, figures(ids).iter());
        assert_eq!(save(&["loss", "mistake-1"]).unwrap().len(), 2);
        save(&["loss", "mistake-2"]).unwrap();
        let there = |name: &str| folder.join(name).exists();
        assert!(there("loss.png") && there("mistake-2.png") && !there("mistake-1.png"));
        let message = save(&["loss", "mine"]).unwrap_err().to_string();
        assert!(
            message.contains("mine.png") && message.contains("not overwritten"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(folder.join("mine.png")).unwrap(), "mine");
        assert!(there("mistake-2.png"), "nothing was touched");
        assert!(save(&["loss", "loss"]).is_err());
    }

    #[test]
    fn a_list_that_is_not_ours_is_kept_and_names_no_file_elsewhere() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("pictures");
        fs::create_dir(&folder).unwrap();
        fs::write(temporary.path().join("outside.png"), "mine").unwrap();
        fs::write(
            folder.join(LIST),
            format!("{HEAD}\n../outside.png\nold.png\n"),
        )
        .unwrap();
        save(&folder, figures(&["new"]).iter()).unwrap();
        assert!(temporary.path().join("outside.png").exists());
        fs::write(folder.join(LIST), "my list").unwrap();
        assert!(save(&folder, figures(&["new"]).iter()).is_err());
        assert_eq!(fs::read_to_string(folder.join(LIST)).unwrap(), "my list");
    }
}
