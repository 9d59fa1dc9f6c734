//! Dates of mail: the civil calendar, and the lenient reading of an RFC 5322 §3.3 date.
//!
//! Not here: a clock, time zones by name, and the syntax of INTERNALDATE (`wire` has it
//! and uses [`DateTime::civil`]).

use crate::mime::params;

/// A point in time with the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// The zone's offset from UTC in minutes, east positive.
    pub offset_minutes: i16,
}

/// A calendar day, without time and zone, as SEARCH compares them (RFC 9051 §6.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// The year, as written by the proleptic Gregorian calendar.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
}

/// What a clock and a calendar on the wall show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Civil {
    /// The day.
    pub date: Date,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 60 when read, 0 to 59 when computed.
    pub second: u8,
}

const DAY_SECONDS: i64 = 86_400;
/// Years beyond these are clamped: no message is older, and four digits are what INTERNALDATE has.
const YEAR_MIN: i32 = 0;
const YEAR_MAX: i32 = 9_999;

impl Date {
    /// A day that exists in the calendar, of a year from 0 to 9999; else `None`.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let valid = (YEAR_MIN..=YEAR_MAX).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then_some(Self { year, month, day })
    }

    /// Days since 1970-01-01, negative before.
    ///
    /// The year is taken to begin in March, so that the leap day is its last.
    #[must_use]
    pub fn days(self) -> i64 {
        let (year, month) = match self.month {
            0..=2 => (
                i64::from(self.year).saturating_sub(1),
                i64::from(self.month).saturating_add(9),
            ),
            month => (i64::from(self.year), i64::from(month).saturating_sub(3)),
        };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_days = month.saturating_mul(153).saturating_add(2).div_euclid(5);
        let leaps = year_of_era
            .div_euclid(4)
            .saturating_sub(year_of_era.div_euclid(100));
        era.saturating_mul(146_097)
            .saturating_add(year_of_era.saturating_mul(365))
            .saturating_add(leaps)
            .saturating_add(month_days)
            .saturating_add(i64::from(self.day))
            .saturating_sub(719_469)
    }

    /// The day so many days after 1970-01-01; days outside the years 0 to 9999 are clamped.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        let (min, max) = (
            Self {
                year: YEAR_MIN,
                month: 1,
                day: 1,
            },
            Self {
                year: YEAR_MAX,
                month: 12,
                day: 31,
            },
        );
        let shifted = days.clamp(min.days(), max.days()).saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        // Take out the leap days of the era, then a year is 365 days.
        let year_of_era = day_of_era
            .saturating_sub(day_of_era.div_euclid(1_460))
            .saturating_add(day_of_era.div_euclid(36_524))
            .saturating_sub(day_of_era.div_euclid(146_096))
            .div_euclid(365);
        let leaps = year_of_era
            .div_euclid(4)
            .saturating_sub(year_of_era.div_euclid(100));
        let day_of_year =
            day_of_era.saturating_sub(year_of_era.saturating_mul(365).saturating_add(leaps));
        let march_month = day_of_year
            .saturating_mul(5)
            .saturating_add(2)
            .div_euclid(153);
        let month_days = march_month
            .saturating_mul(153)
            .saturating_add(2)
            .div_euclid(5);
        let day = day_of_year.saturating_sub(month_days).saturating_add(1);
        let (month, year_more) = match march_month {
            0..=9 => (march_month.saturating_add(3), 0),
            _ => (march_month.saturating_sub(9), 1),
        };
        let year = era
            .saturating_mul(400)
            .saturating_add(year_of_era)
            .saturating_add(year_more);
        Self {
            year: i32::try_from(year).unwrap_or(YEAR_MAX),
            month: small(month),
            day: small(day),
        }
    }
}

impl DateTime {
    /// The day and the time of day in the zone the date was written in.
    #[must_use]
    pub fn civil(self) -> Civil {
        let local = self
            .secs
            .saturating_add(i64::from(self.offset_minutes).saturating_mul(60));
        let second_of_day = local.rem_euclid(DAY_SECONDS);
        Civil {
            date: Date::from_days(local.div_euclid(DAY_SECONDS)),
            hour: small(second_of_day.div_euclid(3_600)),
            minute: small(second_of_day.rem_euclid(3_600).div_euclid(60)),
            second: small(second_of_day.rem_euclid(60)),
        }
    }

    /// The day in the zone the date was written in: what SEARCH compares.
    #[must_use]
    pub fn date(self) -> Date {
        self.civil().date
    }

    /// The point in time at which a wall in that zone shows `civil`.
    ///
    /// A leap second is the first second of the next minute.
    #[must_use]
    pub fn from_civil(civil: Civil, offset_minutes: i16) -> Self {
        let minutes = civil
            .date
            .days()
            .saturating_mul(1_440)
            .saturating_add(i64::from(civil.hour).saturating_mul(60))
            .saturating_add(i64::from(civil.minute))
            .saturating_sub(i64::from(offset_minutes));
        let secs = minutes
            .saturating_mul(60)
            .saturating_add(i64::from(civil.second));
        Self {
            secs,
            offset_minutes,
        }
    }
}

/// A value that the calendar keeps below 100.
fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

/// The length of a month.
fn days_in_month(year: i32, month: u8) -> u8 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads the value of a `Date:` field (RFC 5322 §3.3, obsolete forms included), leniently.
///
/// Comments and the day of the week are ignored; a year of two digits is from 1950 to 2049, of
/// three digits counted from 1900; seconds, the time and the zone may be missing; a zone nobody
/// knows is UTC. `Nov 7 10:00:00 2026` and `7-Nov-2026` are understood too. `None` if there is no
/// day that exists.
#[must_use]
pub fn parse_rfc5322(value: &[u8]) -> Option<DateTime> {
    let text = params::strip_comments(value.get(..DATE_BYTES_MAX).unwrap_or(value));
    let mut found = Found::default();
    for word in text.split(|byte| byte.is_ascii_whitespace() || *byte == b',') {
        found.word(word);
    }
    let date = Date::new(found.year?, found.month?, found.day?)?;
    let (hour, minute, second) = found.time.unwrap_or((0, 0, 0));
    let civil = Civil {
        date,
        hour,
        minute,
        second,
    };
    Some(DateTime::from_civil(
        civil,
        found.offset_minutes.unwrap_or(0),
    ))
}

/// A date with comments is not longer.
const DATE_BYTES_MAX: usize = 1_000;

/// What was found of a date so far; of each the first counts.
#[derive(Default)]
struct Found {
    day: Option<u8>,
    month: Option<u8>,
    year: Option<i32>,
    time: Option<(u8, u8, u8)>,
    offset_minutes: Option<i16>,
}

impl Found {
    fn word(&mut self, word: &[u8]) {
        let Some(first) = word.first() else { return };
        if word.contains(&b':') {
            self.time = self.time.or_else(|| time(word));
        } else if first.is_ascii_digit() {
            // `7-Nov-2026` is three words; `7` is one.
            word.split(|byte| *byte == b'-')
                .for_each(|part| self.number_or_month(part));
        } else if matches!(first, b'+' | b'-') {
            self.offset_minutes = self.offset_minutes.or_else(|| offset(word));
        } else if self.month.is_none() && month(word).is_some() {
            self.month = month(word);
        } else if self.time.is_some() {
            self.offset_minutes = self.offset_minutes.or_else(|| zone(word));
        }
    }

    fn number_or_month(&mut self, word: &[u8]) {
        let Some(number) = number(word) else {
            self.month = self.month.or_else(|| month(word));
            return;
        };
        match (self.day, u8::try_from(number)) {
            (None, Ok(day)) if word.len() <= 2 => self.day = Some(day),
            _ if self.year.is_none() => self.year = Some(year(number, word.len())),
            _ => {}
        }
    }
}

/// A number of at most four digits.
fn number(word: &[u8]) -> Option<i32> {
    let digits = std::str::from_utf8(word)
        .ok()
        .filter(|text| text.len() <= 4)?;
    digits
        .parse()
        .ok()
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// RFC 5322 §4.3: years of two and three digits.
fn year(number: i32, digits: usize) -> i32 {
    match (digits, number) {
        (0..=2, 0..50) => number.saturating_add(2_000),
        (0..=3, _) => number.saturating_add(1_900),
        _ => number,
    }
}

fn month(word: &[u8]) -> Option<u8> {
    const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let start = word.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.chunks(3).position(|month| month == start)?;
    u8::try_from(at.saturating_add(1)).ok()
}

/// `hour:minute`, perhaps `:second` and a fraction, which is dropped.
fn time(word: &[u8]) -> Option<(u8, u8, u8)> {
    let mut parts = word.split(|byte| matches!(byte, b':' | b'.'));
    let mut next = |max: u8| {
        let part = parts.next()?;
        u8::try_from(number(part)?)
            .ok()
            .filter(|value| *value <= max && part.len() <= 2)
    };
    Some((next(23)?, next(59)?, next(60).unwrap_or(0)))
}

/// `+hhmm`; less than a day.
fn offset(word: &[u8]) -> Option<i16> {
    let (sign, digits) = word.split_first()?;
    let value = i16::try_from(number(digits).filter(|_| digits.len() == 4)?).ok()?;
    let (hours, minutes) = (value.div_euclid(100), value.rem_euclid(100));
    let offset = hours.saturating_mul(60).saturating_add(minutes);
    let valid = hours < 24 && minutes < 60;
    valid.then(|| {
        if *sign == b'-' {
            offset.saturating_neg()
        } else {
            offset
        }
    })
}

/// The zones of RFC 822 by name (RFC 5322 §4.3); others are UTC.
fn zone(name: &[u8]) -> Option<i16> {
    let hours: i16 = match name.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    Some(hours.saturating_mul(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-700_000..2_900_000).step_by(97) {
            assert_eq!(Date::from_days(days).days(), days);
        }
        assert_eq!(
            Date {
                year: 1970,
                month: 1,
                day: 1
            }
            .days(),
            0
        );
        assert_eq!(
            Date {
                year: 2000,
                month: 2,
                day: 29
            }
            .days(),
            11_016
        );
    }

    #[test]
    fn civil_goes_both_ways() {
        let at = DateTime {
            secs: 1_793_955_600,
            offset_minutes: 60,
        };
        let civil = at.civil();
        assert_eq!(DateTime::from_civil(civil, 60), at);
        assert_eq!((civil.date.year, civil.date.month), (2026, 11));
    }

    fn check(value: &str, expected: Option<(&str, i16)>) {
        let found = parse_rfc5322(value.as_bytes()).map(|at| {
            let Civil {
                date,
                hour,
                minute,
                second,
            } = at.civil();
            let Date { year, month, day } = date;
            let text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
            (text, at.offset_minutes)
        });
        assert_eq!(
            found,
            expected.map(|(text, offset)| (text.to_owned(), offset)),
            "{value}"
        );
    }

    #[test]
    fn dates_of_mail() {
        check(
            "Sat, 7 Nov 2026 10:00:00 +0100",
            Some(("2026-11-07 10:00:00", 60)),
        );
        check(
            "7 Nov 2026 10:00 -0330 (NST)",
            Some(("2026-11-07 10:00:00", -210)),
        );
        check(
            "Sat,07 nov 26 1:02:03 GMT",
            Some(("2026-11-07 01:02:03", 0)),
        );
        check(
            "7 November 1999 23:59:60 EST",
            Some(("1999-11-08 00:00:00", -300)),
        );
        check("Sat Nov  7 10:00:00 2026", Some(("2026-11-07 10:00:00", 0)));
        check(
            "7-Nov-2026 10:00:00.123 Z",
            Some(("2026-11-07 10:00:00", 0)),
        );
        check("1 Jan 50 00:00:00 UT", Some(("1950-01-01 00:00:00", 0)));
        check("1 Jan 105 00:00:00 UT", Some(("2005-01-01 00:00:00", 0)));
        check("29 Feb 2024", Some(("2024-02-29 00:00:00", 0)));
        check("Mon, 32 Jan 2026 00:00:00 +0000", None);
        check("29 Feb 2023 00:00:00 +0000", None);
        check(
            "7 Nov 2026 10:00:00 +9999",
            Some(("2026-11-07 10:00:00", 0)),
        );
        check("", None);
        check("soon", None);
        check("(7 Nov 2026", None);
    }
}
