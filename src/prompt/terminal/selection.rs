//! How a selection looks: the question, and as many of its choices as there is room for.

use std::ops::Range;

use console::{Term, measure_text_width};

use crate::prompt::question::{Choice, Question};

pub struct Selection<'a> {
    pub term: &'a Term,
    pub question: Question<'a>,
    pub choices: &'a [Choice],
    pub width: usize,
}

impl Selection<'_> {
    /// Its lines, with the cursor at that choice.
    pub fn lines(&self, at: usize) -> Vec<String> {
        let label_width = self.choices.iter().map(|it| measure_text_width(&it.label));
        let label_width = label_width.max().unwrap_or(0);
        let one_line = self
            .choices
            .iter()
            .all(|choice| 4 + label_width + measure_text_width(&choice.note) <= self.width);
        let mut lines = self.head();
        let shown = self.window(at, one_line, lines.len());
        let dim = self.term.style().dim();
        for (index, choice) in (shown.start..).zip(&self.choices[shown]) {
            let (mark, style) = if index == at {
                (">", self.term.style().cyan().bold())
            } else {
                (" ", self.term.style())
            };
            let label = style.apply_to(format!("{mark} {}", choice.label));
            if one_line {
                let gap = " ".repeat(label_width - measure_text_width(&choice.label));
                lines.push(format!("{label}{gap}  {}", dim.apply_to(&choice.note)));
                continue;
            }
            lines.push(label.to_string());
            if !choice.note.is_empty() {
                let note = textwrap::wrap(&choice.note, self.width - 4).into_iter();
                lines.extend(note.map(|line| format!("    {}", dim.apply_to(line))));
            }
        }
        lines
    }

    /// The question, wrapped, with the flag at the right edge if there is room.
    fn head(&self) -> Vec<String> {
        let mark = self.term.style().cyan().bold().apply_to("?");
        let strong = self.term.style().bold();
        let text = textwrap::wrap(self.question.text, self.width - 2);
        let mut lines: Vec<String> = text
            .into_iter()
            .enumerate()
            .map(|(number, line)| match number {
                0 => format!("{mark} {}", strong.apply_to(line)),
                _ => format!("  {}", strong.apply_to(line)),
            })
            .collect();
        if let Some(last) = lines.last_mut() {
            let flag = self.question.flag;
            let free = self.width.saturating_sub(measure_text_width(last));
            if free > flag.len() {
                let gap = " ".repeat(free - flag.len());
                last.push_str(&format!("{gap}{}", self.term.style().dim().apply_to(flag)));
            }
        }
        lines
    }

    /// Which choices fit on the screen, around the one that the cursor is at.
    fn window(&self, at: usize, one_line: bool, above: usize) -> Range<usize> {
        let count = self.choices.len();
        let heights = self
            .choices
            .iter()
            .map(|choice| 1 + textwrap::wrap(&choice.note, self.width - 4).len());
        let tallest = heights.max().unwrap_or(1);
        let rows = usize::from(self.term.size().0).saturating_sub(above + 1);
        let room = (rows / if one_line { 1 } else { tallest }).clamp(1, count);
        let start = at.saturating_sub(room / 2).min(count - room);
        start..start + room
    }
}
