//! What another process has in its memory: which files are mapped where, and where a function of a library stands.
//!
//! Names are looked up in the memory itself and not in the library's file, which may be gone, replaced since, or of a file system that
//! is not ours. Nothing that is read there is trusted: each count has a limit, and what makes no sense is not found.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

/// A range of the process's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_writable: bool,
    pub(crate) is_executable: bool,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// The file as the process sees it, or a name in brackets, or nothing.
    pub(crate) path: String,
}

impl Mapping {
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// The mappings of a process, from the text of its `maps`.
pub(crate) fn mappings_of(text: &str) -> Vec<Mapping> {
    let mapping = |line: &str| {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let offset = fields.next()?;
        let path = fields.nth(2).unwrap_or("").trim_start();
        Some(Mapping {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            is_writable: rights.contains('w'),
            is_executable: rights.contains('x'),
            offset: u64::from_str_radix(offset, 16).ok()?,
            path: path.to_owned(),
        })
    };
    text.lines().filter_map(mapping).collect()
}

/// The memory of a process at one moment.
pub(crate) struct Image {
    memory: File,
    pub(crate) mappings: Vec<Mapping>,
}

/// More symbols in one chain of a table, or more entries in a list, than any library has.
const MOST_ENTRIES: u64 = 1 << 16;
/// No library that is looked through has more code than that.
const MOST_CODE: u64 = 64 << 20;

impl Image {
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))?;
        let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        Ok(Self {
            memory,
            mappings: mappings_of(&text),
        })
    }

    pub(crate) fn mapping_at(&self, address: u64) -> Option<&Mapping> {
        self.mappings
            .iter()
            .find(|mapping| mapping.contains(address))
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, address)
    }

    fn read<const COUNT: usize>(&self, address: u64) -> Option<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    fn u64_at(&self, address: u64) -> Option<u64> {
        self.read(address).map(u64::from_le_bytes)
    }

    fn u32_at(&self, address: u64) -> Option<u32> {
        self.read(address).map(u32::from_le_bytes)
    }

    fn u16_at(&self, address: u64) -> Option<u16> {
        self.read(address).map(u16::from_le_bytes)
    }

    /// Where a function stands that a library with such a name exports.
    pub(crate) fn function(
        &self,
        is_library: impl Fn(&Mapping) -> bool,
        name: &str,
    ) -> Option<u64> {
        let begins = |mapping: &&Mapping| mapping.offset == 0 && is_library(mapping);
        let mut bases = self.mappings.iter().filter(begins).map(|one| one.start);
        bases.find_map(|base| Symbols::at(self, base)?.function(name))
    }

    /// Where some bytes stand in the code of a library with such a name.
    pub(crate) fn code(&self, is_library: impl Fn(&Mapping) -> bool, bytes: &[u8]) -> Option<u64> {
        let has_code = |mapping: &&Mapping| {
            mapping.is_executable && mapping.end - mapping.start <= MOST_CODE && is_library(mapping)
        };
        self.mappings.iter().filter(has_code).find_map(|mapping| {
            let length = usize::try_from(mapping.end - mapping.start).ok()?;
            let mut code = vec![0; length];
            self.memory.read_exact_at(&mut code, mapping.start).ok()?;
            let at = code.windows(bytes.len()).position(|part| part == bytes)?;
            Some(mapping.start + at as u64)
        })
    }
}

impl Image {
    /// The path of a library whose code is that of this file, where a library with such a path is mapped.
    pub(crate) fn library_like(
        &self,
        is_candidate: impl Fn(&Mapping) -> bool,
        file: &[u8],
    ) -> Option<&str> {
        let has_code_of_file = |mapping: &&Mapping| {
            let from = usize::try_from(mapping.offset).unwrap_or(usize::MAX);
            let Some(code) = file.get(from..).filter(|code| !code.is_empty()) else {
                return false;
            };
            let size = usize::try_from(mapping.end - mapping.start).unwrap_or(usize::MAX);
            let code = &code[..size.min(code.len())];
            let mut mapped = vec![0; code.len()];
            let is_read = self.memory.read_exact_at(&mut mapped, mapping.start);
            is_read.is_ok() && mapped == code
        };
        self.mappings
            .iter()
            .filter(|mapping| mapping.is_executable && is_candidate(mapping))
            .find(has_code_of_file)
            .map(|mapping| mapping.path.as_str())
    }
}

/// The names that one library exports (ELF of 64 bits, with a GNU hash table).
struct Symbols<'image> {
    image: &'image Image,
    base: u64,
    symbols: u64,
    strings: u64,
    hashes: u64,
}

impl<'image> Symbols<'image> {
    fn at(image: &'image Image, base: u64) -> Option<Self> {
        const ELF_64_LITTLE: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
        const PT_DYNAMIC: u32 = 2;
        const PT_LOAD: u32 = 1;
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_GNU_HASH: u64 = 0x6fff_fef5;

        if image.read::<6>(base)? != ELF_64_LITTLE {
            return None;
        }
        let headers = base.checked_add(image.u64_at(base + 32)?)?;
        let size = u64::from(image.u16_at(base + 54)?);
        let count = u64::from(image.u16_at(base + 56)?);
        let mut dynamic = None;
        let mut first_load = None;
        for number in 0..count {
            let header = headers.checked_add(number * size)?;
            let address = image.u64_at(header.checked_add(16)?)?;
            match image.u32_at(header)? {
                PT_DYNAMIC => dynamic = Some(address),
                PT_LOAD => _ = first_load.get_or_insert(address),
                _ => {}
            }
        }
        // A program that is not relocated says addresses as they are.
        let base = base.wrapping_sub(first_load?);
        let dynamic = base.wrapping_add(dynamic?);
        let (mut symbols, mut strings, mut hashes) = (None, None, None);
        for number in 0..MOST_ENTRIES {
            let entry = dynamic.checked_add(number * 16)?;
            let value = image.u64_at(entry + 8)?;
            // glibc's loader writes addresses over what the file says, musl's does not.
            let address = if value < base {
                base.wrapping_add(value)
            } else {
                value
            };
            match image.u64_at(entry)? {
                0 => break,
                DT_STRTAB => strings = Some(address),
                DT_SYMTAB => symbols = Some(address),
                DT_GNU_HASH => hashes = Some(address),
                _ => {}
            }
        }
        Some(Self {
            image,
            base,
            symbols: symbols?,
            strings: strings?,
            hashes: hashes?,
        })
    }

    fn function(&self, name: &str) -> Option<u64> {
        const FUNCTION: u8 = 2;

        let hash = gnu_hash(name);
        let image = self.image;
        let buckets = image.u32_at(self.hashes)?;
        let first_hashed = image.u32_at(self.hashes.checked_add(4)?)?;
        let filter_words = u64::from(image.u32_at(self.hashes.checked_add(8)?)?);
        let bucket_at = self.hashes.checked_add(16 + filter_words * 8)?;
        let chain_at = bucket_at.checked_add(u64::from(buckets) * 4)?;
        let bucket = u64::from(hash.checked_rem(buckets)?);
        let first = image.u32_at(bucket_at.checked_add(bucket * 4)?)?;
        for number in (u64::from(first)..).take(MOST_ENTRIES as usize) {
            let place = number.checked_sub(u64::from(first_hashed))?;
            let chained = image.u32_at(chain_at.checked_add(place * 4)?)?;
            if chained | 1 == hash | 1 {
                let symbol = self.symbols.checked_add(number * 24)?;
                let value = image.u64_at(symbol.checked_add(8)?)?;
                let kind = image.read::<1>(symbol.checked_add(4)?)?[0] & 15;
                if kind == FUNCTION && value != 0 && self.is_named(symbol, name) {
                    return Some(self.base.wrapping_add(value));
                }
            }
            // The last of its chain.
            if chained & 1 == 1 {
                break;
            }
        }
        None
    }

    fn is_named(&self, symbol: u64, name: &str) -> bool {
        let written = self.image.u32_at(symbol).and_then(|offset| {
            let mut bytes = vec![0; name.len() + 1];
            let place = self.strings.checked_add(u64::from(offset))?;
            self.image.memory.read_exact_at(&mut bytes, place).ok()?;
            Some(bytes)
        });
        written.is_some_and(|bytes| bytes.strip_suffix(&[0]) == Some(name.as_bytes()))
    }
}

fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_off_the_text() {
        let text = "\
7f00-7f10 r-xp 00001000 08:01 12                         /lib/libc.so.6
7f20-7f30 rw-p 00000000 00:00 0
7f40-7f50 r--p 00000000 00:01 9                          /memfd:an agent (deleted)
";
        let mappings = mappings_of(text);
        assert_eq!(mappings[0].name(), "libc.so.6");
        assert!(mappings[0].is_executable && !mappings[0].is_writable);
        assert_eq!(mappings[0].offset, 0x1000);
        assert!(mappings[0].contains(0x7f0f) && !mappings[0].contains(0x7f10));
        assert_eq!(mappings[1].path, "");
        assert_eq!(mappings[2].name(), "memfd:an agent");
    }

    #[test]
    fn a_function_is_found_in_memory() {
        let image = Image::of(std::process::id()).unwrap();
        let is_libc = |mapping: &Mapping| mapping.name().starts_with("libc.so");
        let found = image.function(is_libc, "getpid").unwrap();
        assert_eq!(found, libc::getpid as *const () as u64);
        assert_eq!(image.function(is_libc, "no_such_function"), None);
    }
}
