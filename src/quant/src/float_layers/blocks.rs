//! The known blocks, and finding them in a network.

use std::sync::LazyLock;

/// A run of op types.
pub struct Block {
    pub name: &'static str,
    pub ops: Vec<&'static str>,
}

impl Block {
    /// Where it begins in a list of op types; found ones do not overlap.
    pub fn places(&self, types: &[&str]) -> Vec<usize> {
        let mut places = Vec::new();
        let mut at = 0;
        while at + self.ops.len() <= types.len() {
            if types[at..].starts_with(&self.ops) {
                places.push(at);
                at += self.ops.len();
            } else {
                at += 1;
            }
        }
        places
    }

    pub fn count(&self, types: &[&str]) -> usize {
        self.places(types).len()
    }
}

/// The blocks of the text beside this file, by section.
pub struct Blocks {
    pub families: Vec<Block>,
    pub openclip: Vec<Block>,
    pub yolo26: Vec<Block>,
}

pub static BLOCKS: LazyLock<Blocks> = LazyLock::new(|| {
    let mut blocks = Blocks { families: Vec::new(), openclip: Vec::new(), yolo26: Vec::new() };
    let mut section = &mut blocks.families;
    for line in include_str!("blocks.txt").lines().filter(|l| !l.starts_with('#')) {
        match line {
            "[families]" => section = &mut blocks.families,
            "[openclip]" => section = &mut blocks.openclip,
            "[yolo26]" => section = &mut blocks.yolo26,
            _ => read(line, section),
        }
    }
    blocks
});

/// A line begins a block (`name: ops`) or goes on with it.
fn read(line: &'static str, section: &mut Vec<Block>) {
    let words = match line.split_once(": ") {
        Some((name, words)) => {
            section.push(Block { name, ops: Vec::new() });
            words
        }
        None => line,
    };
    let Some(block) = section.last_mut() else { return };
    for word in words.split_whitespace() {
        let (op, count) = word.split_once('*').map_or((word, 1), |(op, n)| (op, n.parse().unwrap_or(1)));
        block.ops.extend(std::iter::repeat_n(op, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_blocks_are_read() {
        assert_eq!((BLOCKS.families.len(), BLOCKS.openclip.len(), BLOCKS.yolo26.len()), (25, 3, 4));
        let yolo = BLOCKS.families.iter().find(|b| b.name == "yolo_block").unwrap();
        assert_eq!(yolo.ops, ["MaxPool", "MaxPool", "MaxPool", "Concat"]);
        assert_eq!(BLOCKS.families[0].ops.len(), 54);
        assert_eq!(yolo.places(&["Conv", "MaxPool", "MaxPool", "MaxPool", "MaxPool", "Concat", "MaxPool", "MaxPool", "MaxPool", "Concat"]), [2, 6]);
    }
}
