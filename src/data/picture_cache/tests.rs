use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use image::{Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

use super::cached_folder::CachedFolder;
use super::index::PixelFormat;
use super::{PIXELS, PictureCache};
use crate::data::folder::splits;
use crate::data::interpolation::Interpolation;
use crate::data::picture::Picture;
use crate::data::{Event, ReadOptions, Splits, sha256};
use crate::disk::{self, Act};

const SHAPE: [usize; 3] = [9, 7, 3];

/// A picture of 200 KB.
fn picture(number: u32) -> RgbImage {
    let mut state = number.wrapping_mul(2_654_435_769) | 1;
    RgbImage::from_fn(260, 260, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([state >> 8, state >> 16, state >> 24].map(|bits| bits as u8))
    })
}

/// A folder with two classes of five pictures, 2 MB.
fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    for class in 0..2 {
        let class_folder = folder.path().join(["cat", "dog"][class]);
        fs::create_dir(&class_folder).unwrap();
        for i in 0..5 {
            let name = class_folder.join(format!("{i}.bmp"));
            picture(10 * class as u32 + i).save(name).unwrap();
        }
    }
    folder
}

fn load(folder: &Path, cache: Option<&PictureCache>) -> (Splits, Vec<String>) {
    let options = ReadOptions::default().shape(SHAPE).cache(cache.cloned());
    let mut said = Vec::new();
    let read = splits(folder, &options, &mut |event: &Event| {
        said.push(event.to_string())
    });
    (read.unwrap(), said)
}

/// The loaded folder, and how many pictures were not decoded and how many were kept.
#[track_caller]
fn through(cache: &PictureCache, folder: &Path) -> [usize; 2] {
    let (expected, _) = load(folder, None);
    let (found, said) = load(folder, Some(cache));
    assert_eq!(found, expected);
    ["decoded before", "kept"].map(|what| {
        let line = said.iter().find(|line| line.contains(what));
        let mut words = line
            .map(|line| line.split_whitespace())
            .into_iter()
            .flatten();
        words.find_map(|word| word.parse().ok()).unwrap_or(0)
    })
}

#[test]
fn a_folder_is_decoded_once() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    assert_eq!(through(&cache, folder.path()), [0, 10]);
    assert_eq!(through(&cache, folder.path()), [10, 0]);
    fs::write(folder.path().join("cat/new.bmp"), "").unwrap();
    picture(77).save(folder.path().join("cat/new.bmp")).unwrap();
    picture(78).save(folder.path().join("cat/1.bmp")).unwrap();
    fs::remove_file(folder.path().join("dog/4.bmp")).unwrap();
    assert_eq!(through(&cache, folder.path()), [8, 2]);
    assert_eq!(through(&cache, folder.path()), [10, 0]);
}

#[test]
fn moved_pictures_are_found_by_their_contents() {
    let (old, new, place) = (folder(), tempdir().unwrap(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    assert_eq!(through(&cache, old.path()), [0, 10]);
    for class in ["cat", "dog"] {
        fs::create_dir(new.path().join(class)).unwrap();
        for i in 0..5 {
            let [from, to] = [(&old, i), (&new, 4 - i)]
                .map(|(folder, i)| folder.path().join(class).join(format!("{i}.bmp")));
            fs::copy(from, to).unwrap();
        }
    }
    assert_eq!(through(&cache, new.path()), [10, 10]);
    fs::rename(new.path().join("cat/0.bmp"), new.path().join("cat/9.bmp")).unwrap();
    assert_eq!(through(&cache, new.path()), [10, 0]);
}

/// Other sizes of pixels and other ways to resize are other pixels.
#[test]
fn formats_are_kept_apart() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    for shape in [SHAPE, [7, 9, 3], [9, 7, 1]] {
        for interpolation in Interpolation::ALL {
            let options = ReadOptions::default()
                .shape(shape)
                .interpolation(interpolation);
            let read = |options: &ReadOptions| splits(folder.path(), options, &mut |_| ());
            let expected = read(&options).unwrap();
            let options = options.cache(cache.clone());
            for _ in 0..2 {
                assert_eq!(read(&options).unwrap(), expected);
            }
        }
    }
    assert!(cache.size().unwrap() > 10 * 9 * 7 * 3);
    cache.clear().unwrap();
    assert_eq!(cache.size().unwrap(), 0);
}

#[test]
fn files_with_the_same_stamp_are_not_opened() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    let format = PixelFormat {
        shape: SHAPE,
        interpolation: Interpolation::default(),
    };
    let path = fs::canonicalize(folder.path()).unwrap().join("cat/0.bmp");
    let read = || {
        let mut cached = CachedFolder::open(&cache, folder.path(), format);
        // Files that were just written are not recognised by their stamps.
        cached.now += Duration::from_secs(10);
        let mut pixels = vec![0; 9 * 7 * 3];
        let found = cached.read(&path, &mut pixels).unwrap();
        cached.keep([(&*path, &found, &*pixels)].into_iter());
        (found.is_unchanged(), pixels, cached.finish())
    };
    load(folder.path(), Some(&cache));
    let (_, first, _) = read();
    let (is_unchanged, pixels, _) = read();
    assert_eq!((is_unchanged, &pixels), (true, &first));
    // As many bytes, and the old time of change.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    picture(5).save(&path).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    let (is_unchanged, pixels, _) = read();
    assert_eq!(is_unchanged, !cfg!(unix));
    assert_eq!(pixels == first, !cfg!(unix));
}

#[test]
fn damaged_files_of_the_cache_count_as_missing() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    through(&cache, folder.path());
    for (path, bytes) in cache.files().unwrap() {
        for damage in ["cut", "changed", "longer", "empty", "gone"] {
            let mut contents = fs::read(&path).unwrap();
            match damage {
                "cut" => contents.truncate(bytes as usize / 2),
                "changed" => contents[bytes as usize / 2] ^= 1,
                "longer" => contents.push(0),
                _ => contents.clear(),
            }
            fs::write(&path, contents).unwrap();
            if damage == "gone" {
                fs::remove_file(&path).unwrap();
            }
            through(&cache, folder.path());
            assert_eq!(through(&cache, folder.path()), [10, 0], "{damage}");
        }
    }
}

#[test]
fn the_limit_is_kept() {
    let (first, second, place) = (folder(), folder(), tempdir().unwrap());
    fs::write(
        second.path().join("cat/0.bmp"),
        fs::read(first.path().join("dog/0.bmp")).unwrap(),
    )
    .unwrap();
    let pixels = 10 * SHAPE.iter().product::<usize>() as u64;
    let small = PictureCache::in_folder(place.path()).limit(pixels - 1);
    let (_, said) = load(first.path(), Some(&small));
    let is_told = |line: &String| line.contains("not kept") && line.contains("limit");
    assert!(said.iter().any(is_told), "{said:?}");
    // Those for training; not those for testing, which come second.
    assert_eq!(through(&small, first.path()), [8, 0]);
    small.clear().unwrap();
    // The indices take more than the pixels here.
    let cache = PictureCache::in_folder(place.path()).limit(pixels + 3000);
    assert_eq!(through(&cache, first.path()), [0, 10]);
    assert!(cache.size().unwrap() <= pixels + 3000);
    through(&cache, second.path());
    assert!(cache.size().unwrap() <= pixels + 3000);
    assert_eq!(through(&cache, second.path())[0], 10);
    // All but one have the same contents as pictures of the other folder.
    assert_eq!(through(&cache, first.path()), [9, 10]);
}

#[test]
fn a_full_disk_keeps_nothing_and_loses_nothing() {
    let folder = folder();
    let (expected, _) = load(folder.path(), None);
    for failing in 0..30 {
        let place = tempdir().unwrap();
        let cache = PictureCache::in_folder(place.path());
        let mut act = 0;
        let watcher = move |_: Act<'_>, _: &Path| {
            act += 1;
            match act > failing {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        };
        let (found, said) = disk::watch(watcher, || load(folder.path(), Some(&cache)));
        assert_eq!(found, expected);
        let is_told = said.iter().any(|line| line.contains("not kept"));
        let (found, _) = load(folder.path(), Some(&cache));
        assert_eq!(found, expected);
        if !is_told {
            assert!(failing > 10, "{failing}: {said:?}");
            return;
        }
    }
    panic!("more acts than expected");
}

#[test]
fn unreadable_pictures_stay_errors_and_small_folders_are_not_kept() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    fs::write(folder.path().join("dog/broken.bmp"), "BM").unwrap();
    let options = ReadOptions::default().shape(SHAPE).cache(cache.clone());
    for _ in 0..2 {
        let error = splits(folder.path(), &options, &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("broken.bmp"), "{error}");
    }
    let small = tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(small.path().join(class)).unwrap();
        for i in 0..5 {
            let name = small.path().join(class).join(format!("{i}.bmp"));
            RgbImage::new(8, 8 + i).save(name).unwrap();
        }
    }
    let before = cache.size().unwrap();
    assert_eq!(through(&cache, small.path()), [0, 0]);
    assert_eq!(cache.size().unwrap(), before);
}

/// If this fails, pictures are decoded or resized to other pixels than before: raise `PIXELS`, so that
/// nobody gets the old ones from the cache, and enter the new hash here.
#[test]
fn the_version_of_the_pixels_is_raised_with_every_change() {
    let folder = Path::new("tests/hostile/corpus/picture");
    let names = [
        "grey.jpg",
        "grey.png",
        "grey_alpha.png",
        "progressive.jpg",
        "rgb.bmp",
        "rgb.dds",
        "rgb.gif",
        "rgb.jpg",
        "rgb.png",
        "rgb.ppm",
        "rgb.qoi",
        "rgb.tga",
        "rgb.webp",
        "rgba16.png",
        "wide.jpg",
    ];
    let mut all = Vec::new();
    for name in names {
        let picture = Picture::read(&folder.join(name)).unwrap();
        for interpolation in Interpolation::ALL {
            for shape in [[5, 9, 3], [40, 31, 1]] {
                all.extend(picture.resized_by(interpolation, shape).unwrap());
            }
        }
    }
    let expected = (
        1,
        "805ffe986a34c40bf6eb1723e3d241cba8aaa626003f048c0a35d22efb8c565d",
    );
    assert_eq!((PIXELS, &*sha256::of(&all)), expected);
}
