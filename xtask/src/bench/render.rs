//! Tables for people: as text, as Markdown, and as a page.

use std::fmt::Write;

use super::{
    machine::Machine,
    table::{Column, Table},
};

/// All tables as text.
pub fn text(machine: &Machine, tables: &[Table]) -> String {
    let mut out = String::new();
    for (name, value) in &machine.facts {
        let _ = writeln!(out, "{name}: {value}");
    }
    for table in tables {
        let _ = writeln!(
            out,
            "\n{} ({})\n{}",
            table.title, table.id, table.explanation
        );
        let lines = cells(table);
        let widths: Vec<usize> = (0..=table.columns.len())
            .map(|at| {
                lines
                    .iter()
                    .map(|line| line[at].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for line in lines {
            let _ = write!(out, "{:<width$}", line[0], width = widths[0]);
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                let _ = write!(out, "  {cell:>width$}");
            }
            out.push('\n');
        }
    }
    out
}

/// All tables as Markdown.
pub fn markdown(machine: &Machine, tables: &[Table]) -> String {
    let mut out = String::from("| the machine | |\n|---|---|\n");
    for (name, value) in &machine.facts {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    for table in tables {
        let _ = writeln!(out, "\n### {}\n\n{}\n", table.title, table.explanation);
        for (number, line) in cells(table).into_iter().enumerate() {
            let _ = writeln!(out, "| {} |", line.join(" | "));
            if number == 0 {
                let _ = writeln!(out, "|---|{}", "---:|".repeat(table.columns.len()));
            }
        }
    }
    out
}

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8884; text-align: right }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
svg { max-width: 100%; height: auto }
";

/// The picture and all tables as a page that needs nothing else.
pub fn html(machine: &Machine, tables: &[Table], picture: &str) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width\"/>\n<title>tsnd: benchmarks</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>tsnd: benchmarks</h1>\n<ul>\n"
    );
    for (name, value) in &machine.facts {
        let _ = writeln!(out, "<li>{}: {}</li>", escape(name), escape(value));
    }
    let _ = writeln!(out, "</ul>\n{picture}");
    for table in tables {
        let _ = writeln!(
            out,
            "<h2>{}</h2>\n<p>{}</p>\n<div class=\"wide\"><table>",
            escape(&table.title),
            escape(&table.explanation)
        );
        for (number, line) in cells(table).into_iter().enumerate() {
            let tag = if number == 0 { "th" } else { "td" };
            let row: String = line
                .iter()
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
                .collect();
            let _ = writeln!(out, "<tr>{row}</tr>");
        }
        out.push_str("</table></div>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Header and rows.
fn cells(table: &Table) -> Vec<Vec<String>> {
    let head = table.columns.iter().map(|column| match column.unit {
        // Counts of frames are called what they count.
        "frames" => column.name.clone(),
        unit => format!("{}, {unit}", column.name),
    });
    let head = std::iter::once(String::new()).chain(head).collect();
    let rows = table.rows.iter().map(|row| {
        let figures = table.columns.iter().zip(&row.figures);
        let figures = figures.map(|(column, figure)| format_figure(column, *figure));
        std::iter::once(row.subject.clone())
            .chain(figures)
            .collect()
    });
    std::iter::once(head).chain(rows).collect()
}

/// As many digits as the unit deserves.
fn format_figure(column: &Column, figure: Option<f64>) -> String {
    let Some(figure) = figure else {
        return "–".to_owned();
    };
    let digits = match column.unit {
        "%" | "times" => 2,
        _ if figure.fract() == 0.0 || figure.abs() >= 100.0 => 0,
        _ => 1,
    };
    format!("{figure:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{figures::column, table::Row};

    fn example() -> (Machine, Vec<Table>) {
        let machine = Machine {
            facts: vec![("Kernel", "6.18 <x>".to_owned())],
        };
        let table = Table {
            id: "example",
            title: "An example".to_owned(),
            explanation: "It means nothing.".to_owned(),
            columns: vec![column("p50", "ns"), column("of a core", "%")],
            rows: vec![Row {
                subject: "tsnd".to_owned(),
                figures: vec![Some(1234.4), None],
            }],
        };
        (machine, vec![table])
    }

    #[test]
    fn every_form_has_every_figure_with_its_unit() {
        let (machine, tables) = example();
        for form in [
            text(&machine, &tables),
            markdown(&machine, &tables),
            html(&machine, &tables, ""),
        ] {
            for part in [
                "An example",
                "It means nothing.",
                "p50, ns",
                "1234",
                "–",
                "tsnd",
            ] {
                assert!(form.contains(part), "{part} is not in:\n{form}");
            }
        }
    }

    #[test]
    fn a_page_is_escaped_and_markdown_is_a_table() {
        let (machine, tables) = example();
        assert!(html(&machine, &tables, "").contains("6.18 &lt;x&gt;"));
        assert!(markdown(&machine, &tables).contains("| tsnd | 1234 | – |\n"));
    }
}
