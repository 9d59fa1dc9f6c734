//! PARTIAL (RFC 9394): a page of what is found or fetched, counted from the first or from the last.

/// Pages as they are written.
pub(crate) const PAGES: [&str; 6] = [
    "PARTIAL 1:3",
    "PARTIAL 4:2",
    "PARTIAL 5:500",
    "PARTIAL -1:-2",
    "PARTIAL -6:-3",
    "PARTIAL 90:91",
];

/// The ends of a page, as they stand in the answer too.
pub(crate) fn range(page: &str) -> &str {
    page.trim_start_matches("PARTIAL ")
}

/// What is on a page.
pub(crate) fn on_page<T: Copy>(page: &str, all: &[T]) -> Vec<T> {
    let ends = range(page).split_once(':').unwrap();
    let (a, b): (i64, i64) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
    let (first, last) = (a.min(b), a.max(b));
    let count = i64::try_from(all.len()).unwrap();
    let is_on = |(at, _): &(usize, &T)| {
        let at = i64::try_from(*at).unwrap();
        let number = if first > 0 { at + 1 } else { at - count };
        (first..=last).contains(&number)
    };
    let on = all.iter().enumerate().filter(is_on);
    on.map(|(_, one)| *one).collect()
}
