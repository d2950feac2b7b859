//! Memory that a search may use: as an option says it, and what the system has free.

/// Bytes of `800M`, `4G`, `2.5g`, `64 KiB`, `123456`; `None` where the text is no size.
pub fn bytes(text: &str) -> Option<usize> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, factor) = match lower.chars().last()? {
        'k' => (&lower[..lower.len() - 1], 1u64 << 10),
        'm' => (&lower[..lower.len() - 1], 1 << 20),
        'g' => (&lower[..lower.len() - 1], 1 << 30),
        't' => (&lower[..lower.len() - 1], 1 << 40),
        _ => (lower, 1),
    };
    let value = number.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0)? * factor as f64;
    (value < 9e15).then_some(value as usize)
}

/// Bytes that new programs could use; 2 GiB where the system does not say.
pub fn free() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    kilobytes.map_or(2 << 30, |k| k << 10)
}

/// What an option asks for, half of what is free where it is empty. The error says what would be right.
pub fn budget(option: &str) -> Result<usize, String> {
    match option.trim() {
        "" => Ok(free() / 2),
        text => bytes(text).ok_or_else(|| format!("'{text}' should be a number of bytes, such as 800M or 4G")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_of_memory() {
        let cases = [("800M", Some(800 << 20)), ("4G", Some(4 << 30)), ("2.5g", Some(5 << 29)), ("123", Some(123)), ("64 KiB", Some(64 << 10)), ("x", None), ("", None), ("-1", None), ("1e30G", None)];
        for (text, expected) in cases {
            assert_eq!(super::bytes(text), expected, "{text}");
        }
    }
}
