//! From measurements to the table: medians, ratios, and when there is none.

use std::fmt::Write as _;

use super::push::Delays;
use super::rows::{Passes, Row, Same, Unit};
use super::server::Kind;
use super::work::Measured;

/// All passes of one row, per server.
pub(super) struct Results {
    pub(super) row: Row,
    pub(super) of: Vec<(Kind, Vec<Measured>)>,
}

/// What a server's passes come to.
#[derive(Clone, Debug, PartialEq)]
enum Figure {
    Number {
        /// The median of the passes that count.
        value: f64,
        /// The first pass, where it stands by itself.
        first: Option<f64>,
        /// How long the answer is, where that is shown.
        bytes: Option<u64>,
    },
    Delays(Delays),
    Words(String),
}

impl Figure {
    /// What a ratio is made of: the figure that counts, and the first pass.
    fn ratable(&self) -> Option<(f64, Option<f64>)> {
        match self {
            Self::Number { value, first, .. } => Some((*value, *first)),
            Self::Delays(delays) => Some((delays.reply.1, None)),
            Self::Words(_) => None,
        }
    }
}

impl Results {
    fn figure(&self, kind: Kind) -> Option<Figure> {
        let (_, passes) = self.of.iter().find(|(of, _)| *of == kind)?;
        Some(figure(&self.row, passes))
    }

    /// The cells of the row: work, Dovecot, relate-imap, ratio, goal.
    pub(super) fn cells(&self) -> [String; 5] {
        let (dovecot, relate) = (self.figure(Kind::Dovecot), self.figure(Kind::Relate));
        let shown = |figure: &Option<Figure>| {
            figure
                .as_ref()
                .map_or_else(|| "-".to_owned(), |f| show(&self.row, f))
        };
        [
            self.row.label.clone(),
            shown(&dovecot),
            shown(&relate),
            self.ratio(dovecot.as_ref(), relate.as_ref()),
            self.row.goal.to_owned(),
        ]
    }

    fn ratio(&self, dovecot: Option<&Figure>, relate: Option<&Figure>) -> String {
        let (Some((theirs, their_first)), Some((ours, our_first))) = (
            dovecot.and_then(Figure::ratable),
            relate.and_then(Figure::ratable),
        ) else {
            return "-".to_owned();
        };
        if let Some(difference) = self.difference() {
            return difference;
        }
        let main = times(self.row.unit, theirs, ours);
        match (their_first, our_first) {
            (Some(theirs), Some(ours)) => {
                format!("{main} (first {})", times(self.row.unit, theirs, ours))
            }
            _ => main,
        }
    }

    /// How the two servers' answers differ in what must be the same.
    fn difference(&self) -> Option<String> {
        let answers = self
            .of
            .iter()
            .flat_map(|(_, passes)| passes)
            .filter_map(|each| match each {
                Measured::Query(_, answer) => Some(answer),
                _ => None,
            });
        let key = |answer: &super::imap::Answer| match self.row.same {
            Same::Messages | Same::News => (answer.messages, 0),
            Same::MessagesAndLiterals => (answer.messages, answer.literal_bytes),
            Same::Numbers => (answer.numbers, answer.digest),
            Same::Nothing => (0, 0),
        };
        let mut keys: Vec<_> = answers.map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        (keys.len() > 1).then(|| {
            let shown: Vec<_> = keys
                .iter()
                .map(|(count, what)| format!("{count}/{what}"))
                .collect();
            format!("answers differ: {}", shown.join(", "))
        })
    }

    /// Whether a server failed at this row.
    pub(super) fn failed(&self) -> bool {
        let mut passes = self.of.iter().flat_map(|(_, passes)| passes);
        passes.any(|pass| matches!(pass, Measured::Failed(_)))
    }

    /// A line for the notes: what was equal, where it is not obvious.
    pub(super) fn compared(&self) -> Option<String> {
        let Measured::Query(_, answer) = self.of.first()?.1.last()? else {
            return None;
        };
        let label = &self.row.label;
        Some(match self.row.same {
            Same::Messages | Same::News => {
                let bytes: Vec<_> = self
                    .of
                    .iter()
                    .filter_map(|(kind, passes)| match passes.last()? {
                        Measured::Query(_, answer) => {
                            Some(format!("{} {}", kind.title(), answer.bytes))
                        }
                        _ => None,
                    })
                    .collect();
                format!(
                    "{label}: {} messages; bytes may differ by encoding ({})",
                    answer.messages,
                    bytes.join(", ")
                )
            }
            Same::MessagesAndLiterals => format!(
                "{label}: {} messages, {} bytes of literals",
                answer.messages, answer.literal_bytes
            ),
            Same::Numbers => format!("{label}: {} numbers, compared in order", answer.numbers),
            Same::Nothing => return None,
        })
    }
}

fn figure(row: &Row, passes: &[Measured]) -> Figure {
    let mut values = Vec::new();
    let mut bytes = None;
    for pass in passes {
        match pass {
            Measured::Query(value, answer) => {
                values.push(*value);
                bytes = (row.same == Same::News).then_some(answer.bytes);
            }
            Measured::Value(value) => values.push(*value),
            Measured::Delays(delays) => return Figure::Delays(*delays),
            Measured::NotOffered => return Figure::Words("not offered".into()),
            Measured::Unknown(why) => return Figure::Words(format!("not measured: {why}")),
            Measured::Failed(why) => return Figure::Words(format!("failed: {why}")),
        }
    }
    let stands_apart = row.passes == Passes::FirstThenWarm && values.len() > 1;
    let first = stands_apart.then(|| values.remove(0));
    Figure::Number {
        value: median(&mut values),
        first,
        bytes,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn show(row: &Row, figure: &Figure) -> String {
    match figure {
        Figure::Words(words) => words.clone(),
        Figure::Delays(Delays { reply, transaction }) => {
            let pair =
                |(median, most): &(f64, f64)| format!("{} / {}", number(*median), number(*most));
            format!("{} ms ({})", pair(reply), pair(transaction))
        }
        Figure::Number {
            value,
            first,
            bytes,
        } => {
            let mut shown = format!("{} {}", number(*value), row.unit.word());
            if let Some(first) = first {
                let _ = write!(shown, " (first {})", number(*first));
            }
            if let Some(bytes) = bytes {
                let _ = write!(shown, ", {bytes} bytes");
            }
            shown.trim_end().to_owned()
        }
    }
}

/// Three digits that count, and no more than a reader wants.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Beyond this a ratio only says that one of the two is nothing.
const RATIO_SHOWN: f64 = 1_000.0;

/// How many times better ours is.
fn times(unit: Unit, theirs: f64, ours: f64) -> String {
    let ratio = match unit {
        Unit::PerSecond => ours / theirs.max(f64::MIN_POSITIVE),
        Unit::Milliseconds | Unit::Kibibytes | Unit::Count => theirs / ours.max(0.001),
    };
    if ratio > RATIO_SHOWN {
        return format!("over {RATIO_SHOWN:.0}x");
    }
    format!("{}x", number(ratio))
}

const HEAD: [&str; 5] = ["work", "Dovecot", "relate-imap", "ratio", "goal"];

/// The table as text, in columns; with bars it is Markdown too.
pub(super) fn table(results: &[Results]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(results.iter().map(Results::cells));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            lines
                .iter()
                .map(|cells| cells[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (at, cells) in lines.iter().enumerate() {
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if at == 0 {
            let bars: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(text, "|{}|", bars.join("|"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::imap::Answer;
    use super::super::rows::{self, Work};
    use super::*;

    fn results(ours: &[f64], theirs: &[f64], our_messages: u64) -> Results {
        let row = rows::Table::Mail.rows(10).swap_remove(0);
        assert_eq!(row.work, Work::Query("FETCH 1:* (FLAGS)".into()));
        let passes = |values: &[f64], messages| {
            let answer = Answer {
                messages,
                ..Answer::default()
            };
            values
                .iter()
                .map(|v| Measured::Query(*v, answer.clone()))
                .collect()
        };
        Results {
            row,
            of: vec![
                (Kind::Dovecot, passes(theirs, 10)),
                (Kind::Relate, passes(ours, our_messages)),
            ],
        }
    }

    #[test]
    fn a_ratio_is_of_medians_and_of_first_times() {
        let cells = results(&[20.0, 1.0, 3.0, 2.0], &[100.0, 8.0, 6.0, 7.0], 10).cells();
        assert_eq!(cells[1], "7.00 ms (first 100)");
        assert_eq!(cells[3], "3.50x (first 5.00x)");
    }

    #[test]
    fn different_answers_have_no_ratio() {
        let cells = results(&[1.0, 1.0], &[2.0, 2.0], 9).cells();
        assert_eq!(cells[3], "answers differ: 9/0, 10/0");
    }

    #[test]
    fn the_bytes_of_news_stand_beside_the_time() {
        let mut results = results(&[2.0, 1.0], &[6.0, 4.0], 10);
        results.row.same = Same::News;
        for (_, passes) in &mut results.of {
            for pass in passes {
                if let Measured::Query(_, answer) = pass {
                    answer.bytes = 5_000;
                }
            }
        }
        assert_eq!(results.cells()[1], "4.00 ms (first 6.00), 5000 bytes");
        assert_eq!(results.cells()[3], "4.00x (first 3.00x)");
    }

    #[test]
    fn delays_are_rated_by_what_one_in_a_hundred_exceeds() {
        let mut results = results(&[1.0], &[2.0], 10);
        results.row.passes = Passes::Once;
        for ((_, passes), most) in results.of.iter_mut().zip([300.0, 1.5]) {
            *passes = vec![Measured::Delays(Delays {
                reply: (0.25, most),
                transaction: (2.0, most * 2.0),
            })];
        }
        let cells = results.cells();
        assert_eq!(cells[2], "0.25 / 1.50 ms (2.00 / 3.00)");
        assert_eq!(cells[3], "200x");
    }

    #[test]
    fn what_is_not_offered_is_said() {
        let mut results = results(&[1.0], &[2.0], 10);
        results.of[1].1 = vec![Measured::NotOffered];
        assert_eq!(results.cells()[2], "not offered");
        assert_eq!(results.cells()[3], "-");
    }
}
