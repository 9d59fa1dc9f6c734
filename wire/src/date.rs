//! The syntax of dates in commands (RFC 9051 §9 `date`, `date-time`).

use mail::date::{Civil, Date, DateTime};

use crate::cursor::{Cursor, Parsed};

const MONTHS: [(&str, u8); 12] = [
    ("Jan", 1),
    ("Feb", 2),
    ("Mar", 3),
    ("Apr", 4),
    ("May", 5),
    ("Jun", 6),
    ("Jul", 7),
    ("Aug", 8),
    ("Sep", 9),
    ("Oct", 10),
    ("Nov", 11),
    ("Dec", 12),
];

/// ```abnf
/// date      = date-text / DQUOTE date-text DQUOTE
/// date-text = date-day "-" date-month "-" date-year
/// date-day  = 1*2DIGIT
/// ```
pub(crate) fn day(c: &mut Cursor<'_>) -> Parsed<Date> {
    let quoted = c.eat(b'"');
    let start = c.at();
    let day = match c.digits(2, "a day") {
        Ok(day) => day,
        Err(_) => c.digits(1, "a day of the month")?,
    };
    let date = month_and_year(c, start, day)?;
    if quoted {
        c.byte(b'"', "the closing quote")?;
    }
    Ok(date)
}

/// `"-" date-month "-" date-year`; together with `day` it must be in the calendar.
fn month_and_year(c: &mut Cursor<'_>, start: usize, day: u16) -> Parsed<Date> {
    c.byte(b'-', "a hyphen and the month")?;
    let Some((_, month)) = MONTHS.into_iter().find(|(name, _)| c.eat_text(name)) else {
        return c.fail("a month, Jan to Dec");
    };
    c.byte(b'-', "a hyphen and the year")?;
    let year = c.digits(4, "a year of four digits")?;
    let day = u8::try_from(day).unwrap_or(0);
    match Date::new(i32::from(year), month, day) {
        Some(date) => Ok(date),
        None => c.fail_at(start, "a day that exists"),
    }
}

/// ```abnf
/// date-time      = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// date-day-fixed = (SP DIGIT) / 2DIGIT
/// time           = 2DIGIT ":" 2DIGIT ":" 2DIGIT
/// zone           = ("+" / "-") 4DIGIT
/// ```
pub(crate) fn date_time(c: &mut Cursor<'_>) -> Parsed<DateTime> {
    c.byte(b'"', "a date and time in quotes")?;
    let start = c.at();
    let day = if c.eat(b' ') {
        c.digits(1, "a day of the month")?
    } else {
        c.digits(2, "a day of two digits")?
    };
    let date = month_and_year(c, start, day)?;
    c.sp()?;
    let hour = below(c, 24, "an hour, 00 to 23")?;
    c.byte(b':', "a colon and the minute")?;
    let minute = below(c, 60, "a minute, 00 to 59")?;
    c.byte(b':', "a colon and the second")?;
    // 60 is a leap second.
    let second = below(c, 61, "a second, 00 to 60")?;
    c.sp()?;
    let offset = zone(c)?;
    c.byte(b'"', "the closing quote")?;
    let civil = Civil {
        date,
        hour,
        minute,
        second,
    };
    Ok(DateTime::from_civil(civil, offset))
}

fn below(c: &mut Cursor<'_>, bound: u16, expected: &'static str) -> Parsed<u8> {
    let start = c.at();
    let number = c.digits(2, expected)?;
    match u8::try_from(number) {
        Ok(small) if number < bound => Ok(small),
        _ => c.fail_at(start, expected),
    }
}

/// Minutes east of Greenwich.
fn zone(c: &mut Cursor<'_>) -> Parsed<i16> {
    let west = c.eat(b'-');
    if !west {
        c.byte(b'+', "a zone, such as +0100")?;
    }
    let hours = i16::from(below(c, 24, "the hours of a zone")?);
    let minutes = i16::from(below(c, 60, "the minutes of a zone")?);
    let east = hours.saturating_mul(60).saturating_add(minutes);
    Ok(if west { east.saturating_neg() } else { east })
}
