//! Which rows of a long list are in the document: those that are seen, and some around them.

use std::ops::Range;

/// Rows before a page lives in a browser, and before anything has been measured.
pub const AT_FIRST: Range<usize> = 0..500;

/// Rows are exchanged in groups, so that a little scrolling changes nothing.
const STEP: usize = 16;

/// The rows to draw of `total`, for rows of `row` pixels in a scroller that is `height` pixels high
/// and scrolled to `top`. Reaches at least one group beyond what is seen on either side.
pub fn window(total: usize, row: f64, top: f64, height: f64) -> Range<usize> {
    if row < 1.0 || height < 1.0 {
        return 0..total.min(AT_FIRST.end);
    }
    let first = (top.max(0.0) / row) as usize;
    let last = first + (height / row) as usize + 1;
    let first = first.saturating_sub(STEP) / STEP * STEP;
    let last = (last + STEP).next_multiple_of(STEP).min(total);
    first.min(last)..last
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn only_what_is_seen_and_some_around_it_is_drawn() {
        assert_eq!(window(100_000, 30.0, 0.0, 900.0), 0..48);
        assert_eq!(window(100_000, 30.0, 1_500_000.0, 900.0), 49_984..50_048);
        assert_eq!(window(100_000, 30.0, 3_000_000.0, 900.0), 99_984..100_000);
        assert_eq!(window(3, 30.0, 0.0, 900.0), 0..3);
        assert_eq!(window(0, 30.0, 0.0, 900.0), 0..0);
    }

    #[test]
    fn a_list_that_has_shrunk_is_not_drawn_beyond_its_end() {
        assert_eq!(window(10, 30.0, 30_000.0, 900.0), 10..10);
    }

    #[test]
    fn little_scrolling_changes_nothing() {
        let before = window(10_000, 30.0, 15_000.0, 900.0);
        assert_eq!(window(10_000, 30.0, 15_060.0, 900.0), before);
    }

    #[test]
    fn before_anything_is_measured_the_first_rows_are_drawn() {
        assert_eq!(window(10_000, 0.0, 0.0, 900.0), 0..500);
        assert_eq!(window(20, 30.0, 0.0, 0.0), 0..20);
    }
}
