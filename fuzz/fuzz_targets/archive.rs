//! Mutates zip archives so that they pass the first checks: mutates a member, and then writes the
//! archive anew with its checksum.

use std::io::{Cursor, Read, Write};

use libfuzzer_sys::fuzzer_mutate;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Members beyond this number or length are left to ordinary mutations.
const MOST: usize = 64;
const LONGEST: usize = 1 << 16;

/// Whether this is an archive.
pub fn is_archive(file: &[u8]) -> bool {
    file.starts_with(b"PK")
}

/// Mutates `data`, whose first `size` bytes are used. Returns the new size.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    // The rest gets ordinary mutations.
    let file = match seed % 8 {
        0 => None,
        _ => with_other_member(&data[..size], seed / 8),
    };
    match file {
        Some(file) if file.len() <= most => {
            data[..file.len()].copy_from_slice(&file);
            file.len()
        }
        _ => fuzzer_mutate(data, size, most),
    }
}

fn with_other_member(file: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut members = members(file)?;
    let index = (seed as usize).checked_rem(members.len())?;
    let (_, contents) = members.get_mut(index)?;
    let used = contents.len();
    // Room to grow.
    contents.resize(2 * used + 64, 0);
    let most = contents.len();
    let length = fuzzer_mutate(contents, used, most);
    contents.truncate(length);
    archive(&members)
}

fn members(file: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(file)).ok()?;
    let count = archive.len();
    let read = |i: usize| {
        let member = archive.by_index(i).ok()?;
        let name = member.name().ok()?.to_string();
        let mut contents = Vec::new();
        member.take(LONGEST as u64 + 1).read_to_end(&mut contents).ok()?;
        (contents.len() <= LONGEST).then_some((name, contents))
    };
    (count <= MOST).then(|| (0..count).map(read).collect())?
}

fn archive(members: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, contents) in members {
        zip.start_file(name, options).ok()?;
        zip.write_all(contents).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}
