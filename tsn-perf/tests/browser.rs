//! The report in a real browser: what a reader sees is what was drawn, light and dark.

mod sample;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

use tsn_perf::report;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 2600;
/// Chromium's numbers of the reader's preference.
const DARK: u8 = 0;
const LIGHT: u8 = 1;

/// From the style sheet: background and first stream, light and dark.
const LIGHT_PAGE: [u8; 3] = [0xfb, 0xfb, 0xf9];
const LIGHT_STREAM: [u8; 3] = [0x1f, 0x6f, 0xd0];
const DARK_PAGE: [u8; 3] = [0x14, 0x17, 0x1a];
const DARK_STREAM: [u8; 3] = [0x6c, 0xb0, 0xff];

#[test]
fn the_page_shows_its_figures_light_and_dark() {
    let page = report::html(&sample::report());
    let light = screenshot(&page, "html", LIGHT);
    light.assert_drawn(LIGHT_PAGE, LIGHT_STREAM);
    let dark = screenshot(&page, "html", DARK);
    dark.assert_drawn(DARK_PAGE, DARK_STREAM);
}

#[test]
fn the_figures_alone_are_an_image() {
    let figures = report::svg(&sample::report());
    screenshot(&figures, "svg", LIGHT).assert_drawn(LIGHT_PAGE, LIGHT_STREAM);
}

#[test]
fn an_empty_page_is_told_from_a_drawn_one() {
    let empty = screenshot("<!DOCTYPE html><title>nothing</title>", "html", LIGHT);
    assert_eq!(empty.pixels_unlike([0xff, 0xff, 0xff]), 0);
}

/// What the browser shows, as rows of RGB.
struct Screenshot(Vec<[u8; 3]>);

impl Screenshot {
    fn pixels_like(&self, colour: [u8; 3]) -> usize {
        self.0.iter().filter(|pixel| **pixel == colour).count()
    }

    fn pixels_unlike(&self, colour: [u8; 3]) -> usize {
        self.0.len() - self.pixels_like(colour)
    }

    /// Fails unless the page has its background, and on it a fair share of ink, some of it the first stream's.
    fn assert_drawn(&self, page: [u8; 3], stream: [u8; 3]) {
        let (background, ink) = (self.pixels_like(page), self.pixels_unlike(page));
        assert!(
            background > self.0.len() / 4,
            "{background} pixels of background"
        );
        assert!(ink > self.0.len() / 20, "{ink} pixels of ink");
        let of_stream = self.pixels_like(stream);
        assert!(of_stream > 1_000, "{of_stream} pixels of the first stream");
    }
}

fn screenshot(document: &str, extension: &str, preference: u8) -> Screenshot {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("page.{extension}"));
    let image = directory.path().join("page.png");
    std::fs::write(&file, document).unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ])
        .arg(format!(
            "--blink-settings=preferredColorScheme={preference}"
        ))
        .arg(format!(
            "--user-data-dir={}",
            directory.path().join("profile").display()
        ))
        .arg(format!("--screenshot={}", image.display()))
        .arg(format!("--window-size={WIDTH},{HEIGHT}"))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .expect("chromium is installed; `cargo xtask setup` does that");
    assert!(output.status.success(), "{output:?}");
    read(&image)
}

fn read(image: &Path) -> Screenshot {
    let file = File::open(image).expect("the browser has taken a screenshot");
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut bytes = vec![
        0;
        reader
            .output_buffer_size()
            .expect("an image of this size fits")
    ];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
    let samples = info.color_type.samples();
    assert!(samples >= 3, "a screenshot has colours");
    let pixels = bytes[..info.buffer_size()].chunks_exact(samples);
    Screenshot(pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}
