use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

use super::PictureCache;
use super::cached_folder::CachedFolder;
use super::index::{PIXELS, PixelFormat};
use crate::data::dataset::hashes;
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
    ["took", "kept"].map(|what| {
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
fn fingerprints_are_computed_once() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    let hashed = || {
        let before = hashes::computed();
        let (found, _) = load(folder.path(), Some(&cache));
        let computed = hashes::computed() - before;
        let (expected, _) = load(folder.path(), None);
        let fingerprints = |splits: &Splits| {
            [&splits.train, &splits.test].map(|data| data.fingerprint().to_owned())
        };
        assert_eq!(fingerprints(&found), fingerprints(&expected));
        computed
    };
    assert_eq!([hashed(), hashed()], [2, 0]);
    // A training picture, and one that is there twice.
    picture(78).save(folder.path().join("cat/1.bmp")).unwrap();
    assert_eq!([hashed(), hashed()], [1, 0]);
    fs::copy(
        folder.path().join("cat/1.bmp"),
        folder.path().join("dog/1.bmp"),
    )
    .unwrap();
    assert_eq!([hashed(), hashed()], [1, 0]);
    // What is damaged counts as missing.
    let mut files = cache.files().unwrap().into_iter();
    let is_it = |(path, _): &(PathBuf, u64)| path.extension().unwrap() == "fingerprints";
    let (file, _) = files.find(is_it).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let other = if text.starts_with('0') { "1" } else { "0" };
    fs::write(&file, format!("{other}{}", &text[1..])).unwrap();
    assert_eq!([hashed(), hashed()], [2, 0]);
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
    for kind in ["index", "pixels"] {
        for damage in ["cut", "changed", "longer", "empty", "gone"] {
            let files = cache.files().unwrap().into_iter();
            let mut files = files.filter(|(path, _)| path.extension().unwrap() == kind);
            let (path, bytes) = files.next().unwrap();
            assert_eq!(files.next(), None, "{damage} {kind}");
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
            assert_eq!(through(&cache, folder.path()), [10, 0], "{damage} {kind}");
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
    let each = SHAPE.iter().product::<usize>() as u64 + 128;
    let small = PictureCache::in_folder(place.path()).limit(9 * each);
    let (_, said) = load(first.path(), Some(&small));
    let is_told = |line: &String| line.contains("not kept") && line.contains("limit");
    assert!(said.iter().any(is_told), "{said:?}");
    // Those for training; not those for testing, which come second.
    assert_eq!(through(&small, first.path()), [8, 0]);
    small.clear().unwrap();
    let limit = 15 * each;
    let cache = PictureCache::in_folder(place.path()).limit(limit);
    assert_eq!(through(&cache, first.path()), [0, 10]);
    // The contents are those of pictures of the other folder, whose pack makes room.
    assert_eq!(through(&cache, second.path()), [10, 10]);
    assert!(cache.size().unwrap() <= limit);
    assert_eq!(through(&cache, second.path()), [10, 0]);
    // One of them is only here.
    assert_eq!(through(&cache, first.path()), [9, 10]);
    assert!(cache.size().unwrap() <= limit);
}

/// A folder whose pictures are all replaced does not keep the old ones for ever.
#[test]
fn a_pack_is_started_anew_when_little_of_it_is_in_use() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let each = SHAPE.iter().product::<usize>() as u64 + 128;
    let cache = PictureCache::in_folder(place.path()).limit(15 * each);
    for round in 0..4 {
        for (class, i) in (0..10).map(|i| (["cat", "dog"][i / 5], i % 5)) {
            let path = folder.path().join(class).join(format!("{i}.bmp"));
            picture(100 * round + 10 * i as u32 + class.len() as u32 + u32::from(class == "dog"))
                .save(path)
                .unwrap();
        }
        through(&cache, folder.path());
        assert_eq!(through(&cache, folder.path()), [10, 0], "{round}");
        let files = cache.files().unwrap();
        // An index, pixels, fingerprints and a lock.
        assert_eq!(files.len(), 4, "{files:?}");
        assert!(cache.size().unwrap() <= 15 * each);
    }
}

/// Another process that is adding to the same pack, or has added since.
#[test]
fn two_readers_of_one_folder_keep_what_both_have_decoded() {
    let (folder, place) = (folder(), tempdir().unwrap());
    let cache = PictureCache::in_folder(place.path());
    through(&cache, folder.path());
    let format = PixelFormat {
        shape: SHAPE,
        interpolation: Interpolation::default(),
    };
    let add = |cached: &mut CachedFolder<'_>, name: &str, number: u32| {
        let path = folder.path().join(name);
        picture(number).save(&path).unwrap();
        let mut pixels = vec![0; 9 * 7 * 3];
        let found = cached.read(&path, &mut pixels).unwrap();
        cached.keep([(&*path, &found, &*pixels)].into_iter());
    };
    let [mut first, mut second, mut third] =
        [0; 3].map(|_| CachedFolder::open(&cache, folder.path(), format));
    add(&mut first, "cat/first.bmp", 201);
    add(&mut second, "cat/second.bmp", 202);
    assert!(second.finish()[0].contains("another process"));
    assert!(first.finish()[0].contains("kept 1 "));
    // It was opened before the first one finished.
    add(&mut third, "cat/third.bmp", 203);
    assert!(third.finish()[0].contains("kept 1 "));
    assert_eq!(through(&cache, folder.path()), [12, 1]);
}

/// A folder of links to pictures that are elsewhere, itself reached by a link.
#[cfg(unix)]
#[test]
fn links_are_kept_like_files() {
    use std::os::unix::fs::symlink;
    let (pictures, linked, place) = (folder(), tempdir().unwrap(), tempdir().unwrap());
    let real = linked.path().join("real");
    for class in ["cat", "dog"] {
        fs::create_dir_all(real.join(class)).unwrap();
        for i in 0..5 {
            let name = format!("{class}/{i}.bmp");
            symlink(pictures.path().join(&name), real.join(&name)).unwrap();
        }
    }
    symlink(&real, linked.path().join("link")).unwrap();
    let cache = PictureCache::in_folder(place.path());
    assert_eq!(through(&cache, &linked.path().join("link")), [0, 10]);
    assert_eq!(through(&cache, &linked.path().join("link")), [10, 0]);
    assert_eq!(through(&cache, &real), [10, 0]);
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let (folder, place) = (folder(), tempdir().unwrap());
    for name in ["ckpt-1.index", "0123456789abcdef.pixels", "film.partial"] {
        fs::write(place.path().join(name), "mine").unwrap();
    }
    let cache = PictureCache::in_folder(place.path());
    through(&cache, folder.path());
    cache.clear().unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
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
        if is_told {
            assert_eq!(cache.size().unwrap(), 0, "{failing}");
        }
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
        "zip.exr",
        "rgb.hdr",
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
        "c2394a81384f7290ed69fa651dfb3dd15f342241662eb6482305c775591722ee",
    );
    assert_eq!((PIXELS, &*sha256::of(&all)), expected);
}
