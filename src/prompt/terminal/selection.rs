//! How a selection looks: the question, and as many of its choices as there is room for.

use std::iter::{once, repeat};

use console::measure_text_width;

use crate::output::visible;
use crate::prompt::question::{Choice, Question};
use crate::prompt::terminal::Terminal;

impl Terminal {
    /// The lines of a selection, with the cursor at that choice.
    pub fn selection(&self, question: Question, choices: &[Choice], at: usize) -> Vec<String> {
        let label_width = choices.iter().map(|it| measure_text_width(&it.label)).max().unwrap_or(0);
        let mut widths = choices.iter().map(|it| 4 + label_width + measure_text_width(&it.note));
        let notes_fit = widths.all(|width| width <= self.width());
        let dim = self.term.style().dim();
        let drawn = choices.iter().enumerate().map(|(index, choice)| {
            let (mark, style) = if index == at {
                (">", self.term.style().cyan().bold())
            } else {
                (" ", self.term.style())
            };
            let label = style.apply_to(format!("{mark} {}", choice.label));
            if notes_fit {
                let gap = " ".repeat(label_width - measure_text_width(&choice.label));
                return vec![format!("{label}{gap}  {}", dim.apply_to(&choice.note))];
            }
            let note = textwrap::wrap(&choice.note, self.width() - 4).into_iter();
            let note = note.filter(|line| !line.is_empty());
            let note = note.map(|line| format!("    {}", dim.apply_to(line)));
            once(label.to_string()).chain(note).collect()
        });
        let drawn: Vec<Vec<String>> = drawn.collect();
        let mut lines = self.wrapped_head(question);
        // As many as fit on the screen, around the one that the cursor is at.
        let tallest = drawn.iter().map(Vec::len).max().unwrap_or(1);
        let rows = usize::from(self.term.size().0).saturating_sub(lines.len() + 1);
        let room = (rows / tallest).clamp(1, drawn.len());
        let start = at.saturating_sub(room / 2).min(drawn.len() - room);
        lines.extend(drawn.into_iter().skip(start).take(room).flatten());
        lines
    }

    /// The question, with the flag at the right edge if there is room.
    fn wrapped_head(&self, question: Question) -> Vec<String> {
        let style = self.term.style();
        let (mark, strong, dim) = (style.clone().cyan().bold(), style.clone().bold(), style.dim());
        let text = visible(question.text);
        let text = textwrap::wrap(&text, self.width() - 2);
        let marked = text.iter().zip(once("?").chain(repeat(" ")));
        let mut lines: Vec<String> = marked
            .map(|(line, sign)| format!("{} {}", mark.apply_to(sign), strong.apply_to(line)))
            .collect();
        if let Some(last) = lines.last_mut() {
            let free = self.width().saturating_sub(measure_text_width(last));
            if free > question.flag.len() {
                last.push_str(&format!("{:>free$}", dim.apply_to(question.flag)));
            }
        }
        lines
    }
}
