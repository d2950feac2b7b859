//! Numbers and lists as Python prints them: the logs of the searches have them in that form.

/// The shortest text that reads as the same number, in exponent form below 1e-4 and from 1e16 on.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    match exponent.parse::<i32>() {
        Ok(exponent) if value != 0.0 && !(-4..16).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// `['a', 'b']`
pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = items.into_iter().map(|item| format!("'{}'", item.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_printed_as_python_does() {
        let cases = [(6.0, "6.0"), (5.9997736, "5.9997736"), (0.00027327908930874223, "0.00027327908930874223"), (9.450119836662552e-6, "9.450119836662552e-06")];
        let more = [(2.6798629981783506e-10, "2.6798629981783506e-10"), (1e16, "1e+16"), (123456789012345.6, "123456789012345.6"), (0.0, "0.0"), (1e-5, "1e-05"), (0.0001, "0.0001"), (-2.5, "-2.5")];
        for (value, text) in cases.into_iter().chain(more) {
            assert_eq!(super::float(value), text);
        }
        assert_eq!(super::list(["KL", "MSE"]), "['KL', 'MSE']");
    }
}
