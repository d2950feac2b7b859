//! Names in messages: those that were meant, and many of them in few words.

/// The candidate nearest to a name by edit distance, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = candidates.into_iter().map(|c| (distance(name, c), c)).min_by_key(|(d, _)| *d)?;
    (best.0 <= name.chars().count().max(best.1.chars().count()) / 2).then_some(best.1)
}

/// Layers in a sentence: `one` writes a layer that stands alone with its op and reason; layers of one op and reason are
/// counted together, and two of them named.
pub fn grouped<'a>(layers: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>, one: impl Fn(&str, &str, &str) -> String) -> String {
    let mut groups: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    for (layer, op, reason) in layers {
        match groups.iter_mut().find(|(key, _)| *key == (op, reason)) {
            Some((_, names)) => names.push(layer),
            None => groups.push(((op, reason), vec![layer])),
        }
    }
    let text = |((op, reason), names): ((&str, &str), Vec<&str>)| match names[..] {
        [layer] => one(layer, op, reason),
        [a, b] => format!("2 {op} ('{a}', '{b}': {reason})"),
        [a, b, ..] => format!("{} {op} ('{a}', '{b}', ...: {reason})", names.len()),
        [] => String::new(),
    };
    groups.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted() {
        let layers = [("a", "Conv", "x"), ("b", "Add", "x"), ("c", "Conv", "x"), ("d", "Conv", "x"), ("e", "Conv", "y")];
        assert_eq!(grouped(layers, |l, op, r| format!("{op} {l} {r}")), "3 Conv ('a', 'c', ...: x), Add b x, Conv e y");
    }

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("conv1_Cnov", ["conv1_Conv", "conv2_Conv", "fc"]), Some("conv1_Conv"));
        assert_eq!(nearest("abc", ["xyzxyz"]), None);
        assert_eq!(nearest("abc", []), None);
    }
}
