//! What is read of a dump that is cut off, damaged, empty, foreign or too new, and what is said about it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::PathBuf;

use heldby_dump::{Codec, Dump, DumpError, DumpWriter, Problem, Tag, read, read_header};
use heldby_heap::{Cancel, Reference, ReferenceKind};
use proptest::prelude::*;

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn strings(texts: &[&str]) -> Vec<u8> {
    let mut body = words(&[texts.len() as u32]);
    body.extend(words(
        &texts
            .iter()
            .map(|text| text.len() as u32)
            .collect::<Vec<_>>(),
    ));
    body.extend(texts.iter().flat_map(|text| text.bytes()));
    body
}

fn objects(type_address: u64, addresses: &[u64]) -> Vec<u8> {
    let mut body = longs(&[type_address]);
    body.extend(words(&[addresses.len() as u32, 4]));
    body.extend(longs(addresses));
    body.extend(words(&vec![1; addresses.len()]));
    body.extend(words(&vec![56; addresses.len()]));
    body
}

/// `module app`, whose `CACHE` is a list of two `bytes`.
fn dump_bytes(codec: Codec) -> Vec<u8> {
    let mut writer = DumpWriter::new(Vec::new(), codec).unwrap();
    let mut section = |tag: &[u8; 4], body: Vec<u8>| writer.section(Tag(*tag), &body).unwrap();
    section(b"HEAD", br#"{"runtime": "cpython", "version": "3.11.7", "pid": 7, "process_start": 5, "taken_at": 9}"#.to_vec());
    section(
        b"STRS",
        strings(&[
            "builtins", "module", "dict", "list", "bytes", "app", "/app.py", "CACHE", "str",
        ]),
    );
    section(
        b"TYPE",
        [
            words(&[5, 0]),
            longs(&[1, 2, 3, 4, 5]),
            words(&[0; 5]),
            words(&[1, 2, 3, 4, 8]),
            words(&[0; 10]),
        ]
        .concat(),
    );
    section(b"SHAP", words(&[1, 1, 1, 9, u32::MAX]));
    section(b"OBJS", objects(1, &[0x100]));
    section(b"FLDS", [words(&[1, 0, 0]), longs(&[0x200])].concat());
    section(
        b"KEYS",
        [words(&[1, 0]), longs(&[0x500]), words(&[7])].concat(),
    );
    section(b"OBJS", objects(5, &[0x500]));
    section(b"OBJS", objects(2, &[0x200]));
    section(
        b"DICT",
        [words(&[1, 0, 1]), longs(&[0x500, 0x300])].concat(),
    );
    section(b"OBJS", objects(3, &[0x300]));
    section(
        b"ITEM",
        [words(&[3, 1, 2]), longs(&[0x400, 0x410])].concat(),
    );
    section(b"OBJS", objects(4, &[0x400, 0x410]));
    section(
        b"MODU",
        [words(&[1, 0]), longs(&[0x100, 0x200]), words(&[5, 6])].concat(),
    );
    section(
        b"ROOT",
        [words(&[1, 0]), longs(&[0x100]), words(&[1])].concat(),
    );
    writer.finish(6).unwrap()
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.heldby");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
    (folder, path)
}

fn read_bytes(bytes: &[u8]) -> Result<Dump, DumpError> {
    let (_folder, path) = file(bytes);
    read(&path, &Cancel::new())
}

fn message(bytes: &[u8]) -> String {
    let (folder, path) = file(bytes);
    let error = read(&path, &Cancel::new())
        .expect_err("should not be readable")
        .to_string();
    error.replace(&folder.path().display().to_string(), "FOLDER")
}

fn problems(bytes: &[u8]) -> Vec<String> {
    read_bytes(bytes)
        .unwrap()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Where the section with this tag starts.
fn offset_of(bytes: &[u8], tag: &[u8; 4]) -> usize {
    bytes.windows(4).position(|window| window == tag).unwrap()
}

#[test]
fn a_whole_dump_is_read_with_every_codec() {
    for codec in [Codec::None, Codec::Zlib, Codec::Zstd] {
        let dump = read_bytes(&dump_bytes(codec)).unwrap();
        assert_eq!(dump.problems, []);
        assert_eq!(
            (
                dump.heap.len(),
                dump.heap.reachable_len(),
                dump.heap.reference_len()
            ),
            (7, 7, 6)
        );
        assert_eq!(
            (dump.header.pid, dump.header.version.as_str()),
            (7, "3.11.7")
        );
    }
}

#[test]
fn each_dictionary_has_its_own_entries() {
    let mut writer = DumpWriter::new(Vec::new(), Codec::None).unwrap();
    let mut section = |tag: &[u8; 4], body: Vec<u8>| writer.section(Tag(*tag), &body).unwrap();
    section(b"HEAD", b"{}".to_vec());
    section(b"OBJS", objects(2, &[0x100, 0x200, 0x300]));
    let (keys, values) = (longs(&[0x400, 0x410, 0x400]), longs(&[0x500, 0x510, 0x520]));
    section(b"DICT", [words(&[3, 0, 1, 1, 1]), keys, values].concat());
    section(b"OBJS", objects(4, &[0x400, 0x410, 0x500, 0x510, 0x520]));
    let dump = read_bytes(&writer.finish(8).unwrap()).unwrap();
    let targets = |address: u64| {
        let owner = dump
            .heap
            .objects()
            .find(|object| dump.heap.address(*object) == address)
            .unwrap();
        dump.heap
            .references(owner)
            .map(|reference| dump.heap.address(reference.target))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [targets(0x100), targets(0x200), targets(0x300)],
        [[0x400, 0x500], [0x410, 0x510], [0x400, 0x520]]
    );
}

/// Address, kind and whether it is described, of each reference of the object at `address`.
fn references_of(dump: &Dump, address: u64) -> Vec<(u64, ReferenceKind, bool)> {
    let owner = dump
        .heap
        .objects()
        .find(|object| dump.heap.address(*object) == address)
        .unwrap();
    let row = |reference: Reference| {
        let label = reference.label;
        (
            dump.heap.address(reference.target),
            label.kind(),
            label.is_described(),
        )
    };
    dump.heap.references(owner).map(row).collect()
}

#[test]
fn further_references_join_those_of_their_source() {
    const NO_NAME: u32 = u32::MAX;
    let mut writer = DumpWriter::new(Vec::new(), Codec::None).unwrap();
    let mut section = |tag: &[u8; 4], body: Vec<u8>| writer.section(Tag(*tag), &body).unwrap();
    section(b"HEAD", b"{}".to_vec());
    // They may come before the objects that they are about; one is of no object of the dump.
    let (sources, targets) = (longs(&[0x200, 0x100, 0x999]), longs(&[0x100, 0x300, 0x100]));
    let (kinds, names) = (words(&[19, 256 + 22, 20]), words(&[NO_NAME; 3]));
    section(
        b"LINK",
        [words(&[3, 0]), sources, targets, kinds, names].concat(),
    );
    section(b"OBJS", objects(2, &[0x100, 0x200]));
    section(b"ITEM", [words(&[3, 2, 1, 0]), longs(&[0x200])].concat());
    section(b"OBJS", objects(4, &[0x300]));
    let dump = read_bytes(&writer.finish(3).unwrap()).unwrap();
    assert_eq!(
        references_of(&dump, 0x100),
        [
            (0x200, ReferenceKind::ListItem, false),
            (0x300, ReferenceKind::Context, true)
        ]
    );
    assert_eq!(
        references_of(&dump, 0x200),
        [(0x100, ReferenceKind::Iterates, false)]
    );
    assert_eq!(dump.problems, [Problem::Dangling { count: 1 }]);
}

/// A list, and a code object in which it grew: in line 12, from byte 9 to 31. `row`: the place that the list's row names.
fn dump_with_growth(row: u32) -> Vec<u8> {
    let mut writer = DumpWriter::new(Vec::new(), Codec::None).unwrap();
    let mut section = |tag: &[u8; 4], body: Vec<u8>| writer.section(Tag(*tag), &body).unwrap();
    section(b"HEAD", br#"{"runtime": "cpython", "pid": 7}"#.to_vec());
    section(b"STRS", strings(&["builtins", "list", "code", "/app.py"]));
    let types = [words(&[2, 0]), longs(&[3, 9]), words(&[0, 0, 1, 2])];
    section(b"TYPE", [types.concat(), words(&[0; 4])].concat());
    section(b"OBJS", objects(3, &[0x300, 0x310]));
    section(b"OBJS", objects(9, &[0x900]));
    let code = [words(&[1, 0]), longs(&[0x900]), words(&[3, 3, 10])];
    section(b"CODE", code.concat());
    let growth = [
        words(&[2, 2]),
        // The second list is none of the dump's, the second code neither.
        longs(&[0x300, 0x999]),
        words(&[row, 1]),
        longs(&[0x900, 0x990]),
        words(&[12, 13, 9, 0, 12, 13, 31, 0]),
    ];
    section(b"TRAC", growth.concat());
    let roots = [words(&[2, 0]), longs(&[0x300, 0x900]), words(&[1, 1])];
    section(b"ROOT", roots.concat());
    writer.finish(3).unwrap()
}

#[test]
fn where_a_container_grew_is_read_where_the_code_is_there() {
    let dump = read_bytes(&dump_with_growth(0)).unwrap();
    assert!(dump.problems.is_empty(), "{:?}", dump.problems);
    let growths = &dump.heap.names().growths;
    assert_eq!(growths.of.len(), 1);
    let (list, row) = growths.of.iter().next().unwrap();
    assert_eq!(dump.heap.address(*list), 0x300);
    let place = growths.places[*row as usize];
    assert_eq!(dump.heap.address(place.code), 0x900);
    assert_eq!((place.line, place.column), (12, 9));
    assert_eq!((place.end_line, place.end_column), (12, 31));
}

#[test]
fn a_growth_at_a_place_that_is_not_there_is_told_of() {
    let dump = read_bytes(&dump_with_growth(2)).unwrap();
    let problems: Vec<String> = dump.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("a place that it does not have"));
    assert_eq!(dump.heap.len(), 4, "the rest is read");
}

#[test]
fn an_empty_file_says_so() {
    assert_eq!(
        message(b""),
        "FOLDER/a.heldby: the file is empty: the dump was never written; take it again"
    );
}

#[test]
fn a_foreign_file_says_what_it_starts_with() {
    assert_eq!(
        message(b"{\"snapshot\": {}}"),
        r#"FOLDER/a.heldby: not a heldby dump (it starts with "{\"snapsh")"#
    );
    assert_eq!(
        message(&[0x7f, 0x45, 2, 1]),
        "FOLDER/a.heldby: not a heldby dump (it starts with 7f 45 02 01)"
    );
}

#[test]
fn a_dump_of_a_later_format_says_to_update() {
    let mut bytes = dump_bytes(Codec::None);
    bytes[8] = 2;
    assert_eq!(
        message(&bytes),
        "FOLDER/a.heldby: written in dump format 2, this heldby reads up to 1: update heldby"
    );
}

#[test]
fn a_folder_is_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), &Cancel::new()).unwrap_err();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, "is a folder, not a dump");
}

#[test]
fn of_a_dump_that_was_cut_off_the_whole_part_is_read() {
    let bytes = dump_bytes(Codec::None);
    let cut = &bytes[..offset_of(&bytes, b"MODU") + 40];
    assert_eq!(
        problems(cut),
        [format!(
            "the file was cut off at byte {}: what stands before is read, the rest of the heap is missing",
            cut.len()
        )]
    );
    assert_eq!(read_bytes(cut).unwrap().heap.len(), 7);
}

#[test]
fn a_dump_cut_off_before_its_first_object_cannot_be_read() {
    let bytes = dump_bytes(Codec::None);
    let cut = &bytes[..offset_of(&bytes, b"STRS")];
    let expected = format!(
        "FOLDER/a.heldby: the file was cut off at byte {}: what stands before is read, the rest of the heap is missing; nothing in it can be read, take the dump again",
        cut.len()
    );
    assert_eq!(message(cut), expected);
}

#[test]
fn a_damaged_section_is_left_out_and_the_rest_is_read() {
    let mut bytes = dump_bytes(Codec::None);
    let at = offset_of(&bytes, b"ITEM");
    bytes[at + 40] ^= 1;
    assert_eq!(
        problems(&bytes),
        [format!(
            "section ITEM at byte {at} is damaged (its checksum does not match): it is left out"
        )]
    );
    let heap = read_bytes(&bytes).unwrap().heap;
    let list = heap
        .objects()
        .find(|object| heap.address(*object) == 0x300)
        .unwrap();
    assert_eq!((heap.len(), heap.references(list).len()), (7, 0));
}

#[test]
fn references_of_objects_that_are_damaged_belong_to_nobody() {
    let mut bytes = dump_bytes(Codec::None);
    let list = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| window == b"OBJS")
        .nth(3)
        .unwrap()
        .0;
    bytes[list + 40] ^= 1;
    let dump = read_bytes(&bytes).unwrap();
    assert_eq!(
        (dump.heap.len(), dump.heap.reference_len()),
        (6, 5),
        "the dictionary's value and the list's items are gone"
    );
    let said: Vec<String> = dump.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            format!(
                "section OBJS at byte {list} is damaged (its checksum does not match): it is left out"
            ),
            "1 references lead to objects that are not in the dump: they are left out".to_owned(),
        ]
    );
}

#[test]
fn a_length_that_the_file_does_not_have_is_not_believed() {
    let mut writer = DumpWriter::new(Vec::new(), Codec::None).unwrap();
    writer.section(Tag(*b"HEAD"), b"{}").unwrap();
    writer
        .section(Tag(*b"OBJS"), &objects(1, &[0x100]))
        .unwrap();
    writer
        .section(Tag(*b"ITEM"), &words(&[3, 1, u32::MAX]))
        .unwrap();
    writer
        .section(
            Tag(*b"OBJS"),
            &[longs(&[1]), words(&[u32::MAX, 4])].concat(),
        )
        .unwrap();
    let bytes = writer.finish(1).unwrap();
    let said = problems(&bytes);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said.iter()
            .all(|problem| problem.contains("it is shorter than its counts say")),
        "{said:?}"
    );
}

#[test]
fn a_packed_body_may_not_be_larger_than_it_says() {
    let mut bytes = dump_bytes(Codec::Zlib);
    let at = offset_of(&bytes, b"STRS");
    bytes[at + 16] -= 1;
    let checksum = crc32(&bytes[at..at + 28]);
    bytes[at + 28..at + 32].copy_from_slice(&checksum.to_le_bytes());
    assert!(problems(&bytes)[0].contains("its size is not what its header says"));
}

fn crc32(bytes: &[u8]) -> u32 {
    // Bit by bit, so that the test does not share the reader's table.
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_cut_stops_the_reader(cut in 0usize..1200) {
        let bytes = dump_bytes(Codec::None);
        let _ = read_bytes(&bytes[..cut.min(bytes.len())]);
    }

    #[test]
    fn no_damage_stops_the_reader(damage in prop::collection::vec((0usize..1600, any::<u8>()), 1..12), fixed in any::<bool>()) {
        let mut bytes = dump_bytes(Codec::None);
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if fixed {
            // Checksums made right again: the damage reaches the columns.
            let mut at = 16;
            while at + 32 <= bytes.len() {
                let stored = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap());
                let Some(end) = usize::try_from(stored).ok().and_then(|stored| (at + 32).checked_add(stored)).filter(|end| *end <= bytes.len()) else { break };
                let body = crc32(&bytes[at + 32..end]);
                bytes[at + 24..at + 28].copy_from_slice(&body.to_le_bytes());
                let header = crc32(&bytes[at..at + 28]);
                bytes[at + 28..at + 32].copy_from_slice(&header.to_le_bytes());
                at = end;
            }
        }
        let (_folder, path) = file(&bytes);
        let _ = read_header(&path);
        let _ = read(&path, &Cancel::new());
    }
}
