//! How deeply a text is nested, found before MLIR's parser sees it: parser and printer call themselves for what is nested, so that a
//! hostile text could use up their stack.

use std::collections::HashMap;

/// Nesting beyond this is no network but an attack.
const MAX_NESTING: usize = 128;

/// Bytes of an affine map; its terms nest without brackets.
const MAX_AFFINE: usize = 4096;

/// Checks a text; the error is the line (from 1) where the nesting is too deep. Brackets count outside of strings and comments, and an
/// alias counts with what it stands for. What is not MLIR at all is the parser's business.
pub fn check(text: &[u8]) -> Result<(), usize> {
    let mut scan = Scan::default();
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        scan.line(line).map_err(|TooDeep| index + 1)?;
    }
    Ok(())
}

struct TooDeep;

#[derive(Default)]
struct Scan<'t> {
    depth: usize,
    /// How deeply what an alias stands for is nested.
    aliases: HashMap<&'t [u8], usize>,
    /// The alias that is being defined, and the deepest place in it so far.
    defining: Option<(&'t [u8], usize)>,
    /// Bytes since an affine map began, and the depth around it.
    affine: Option<(usize, usize)>,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.$-".contains(&byte)
}

impl<'t> Scan<'t> {
    fn line(&mut self, line: &'t [u8]) -> Result<(), TooDeep> {
        self.definition(line);
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let rest = &line[at + 1..];
            at += 1;
            match byte {
                b'"' => at += string_length(rest),
                b'/' if rest.first() == Some(&b'/') => break,
                b'-' if rest.first() == Some(&b'>') => at += 1,
                b'(' | b'[' | b'{' | b'<' => self.reach(1)?,
                b')' | b']' | b'}' | b'>' => self.depth = self.depth.saturating_sub(1),
                b'#' | b'!' => {
                    let length = rest.iter().take_while(|&&b| is_name(b)).count();
                    let inside = self.aliases.get(&line[at - 1..at + length]).copied().unwrap_or(0);
                    self.reach(inside)?;
                    self.depth -= inside;
                    at += length;
                }
                b'a' if rest.starts_with(b"ffine_map<") || rest.starts_with(b"ffine_set<") => self.affine = Some((0, self.depth)),
                _ => {}
            }
            self.affine = match self.affine {
                Some((bytes, outside)) if bytes < 16 || self.depth > outside => Some((bytes + 1, outside)),
                _ => None,
            };
            if self.affine.is_some_and(|(bytes, _)| bytes > MAX_AFFINE) {
                return Err(TooDeep);
            }
        }
        Ok(())
    }

    /// A line that begins with `#name =` or `!name =` defines an alias; it ends the definition before it.
    fn definition(&mut self, line: &'t [u8]) {
        let line = line.trim_ascii_start();
        if !matches!(line.first(), Some(b'#' | b'!')) {
            return;
        }
        let length = 1 + line[1..].iter().take_while(|&&b| is_name(b)).count();
        if line[length..].trim_ascii_start().first() == Some(&b'=') {
            if let Some((name, depth)) = self.defining.replace((&line[..length], 0)) {
                self.aliases.insert(name, depth);
            }
        }
    }

    fn reach(&mut self, deeper: usize) -> Result<(), TooDeep> {
        self.depth += deeper;
        if let Some((_, deepest)) = &mut self.defining {
            *deepest = (*deepest).max(self.depth);
        }
        if self.depth > MAX_NESTING { Err(TooDeep) } else { Ok(()) }
    }
}

/// Bytes of a string up to and with its closing quote; strings end with their line.
fn string_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, close: &str, depth: usize) -> String {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn brackets() {
        for (open, close) in [("[", "]"), ("(", ")"), ("{a = ", "}"), ("tuple<", ">")] {
            assert_eq!(check(nested(open, close, 100).as_bytes()), Ok(()));
            assert_eq!(check(format!("\n{}", nested(open, close, 200)).as_bytes()), Err(2));
        }
        assert_eq!(check(format!("\"{}\" // {}\n", "[".repeat(300), "(".repeat(300)).as_bytes()), Ok(()));
        assert_eq!(check("() -> ()\n".repeat(300).as_bytes()), Ok(()));
        assert_eq!(check(format!("\"\\\"{}", "[".repeat(300)).as_bytes()), Ok(()));
    }

    #[test]
    fn aliases() {
        let chain = |links: usize| (0..links).fold("#a0 = [1]\n".to_owned(), |text, i| text + &format!("#a{} = [#a{i}]\n", i + 1));
        assert_eq!(check(chain(100).as_bytes()), Ok(()));
        assert_eq!(check(chain(200).as_bytes()), Err(129));
        let locations: String = (0..500).map(|i| format!("#loc{i} = loc(\"layer{i}\")\n")).collect();
        assert_eq!(check(locations.as_bytes()), Ok(()));
    }

    #[test]
    fn affine_terms() {
        assert_eq!(check(format!("affine_map<(d0) -> (d0{})>", " + d0".repeat(100)).as_bytes()), Ok(()));
        assert_eq!(check(format!("affine_map<(d0) -> ({}d0)>", "- ".repeat(5000)).as_bytes()), Err(1));
    }
}
