//! Programs that steer clocks, and which of them steers the system clock, by their command lines.

use super::{Machine, processes};

/// A program of that kind that runs.
#[derive(Debug, PartialEq, Eq)]
pub struct ClockProgram {
    /// Its name, which the kernel cuts at 15 characters.
    pub name: String,
    /// Whether it steers the system clock, as it was started.
    pub steers_system_clock: bool,
}

/// Those that run here.
pub fn running(machine: &Machine) -> Vec<ClockProgram> {
    processes::all_processes(machine)
        .into_iter()
        .filter_map(|process| {
            let name = machine.text(&format!("/proc/{process}/comm"))?;
            let command_line = machine
                .bytes(&format!("/proc/{process}/cmdline"))
                .unwrap_or_default();
            let words: Vec<String> = command_line
                .split(|byte| *byte == 0)
                .skip(1)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let steers_system_clock = match &*name {
                "phc2sys" => phc2sys_steers(&words),
                "ptp4l" => ptp4l_steers(machine, &words),
                "chronyd" => !words.iter().any(|word| word == "-x"),
                "ntpd" | "systemd-timesyn" => true,
                _ => return None,
            };
            Some(ClockProgram {
                name,
                steers_system_clock,
            })
        })
        .collect()
}

/// phc2sys(8): `-a` follows ptp4l and steers the system clock only with `-r`; else `-c` names the clock to steer, which is
/// the system clock by default. `-E ntpshm` only tells others.
fn phc2sys_steers(words: &[String]) -> bool {
    const WITH_VALUE: &str = "cdEfFiIlLMnNOPRsStTuz";
    let options = options(words, WITH_VALUE);
    let has = |wanted| options.iter().any(|(option, _)| *option == wanted);
    let value = |wanted| {
        let mut found = options.iter().rev();
        found
            .find(|(option, _)| *option == wanted)
            .map(|(_, value)| *value)
    };
    if value('E') == Some("ntpshm") {
        return false;
    }
    if has('a') {
        return has('r');
    }
    value('c').is_none_or(|clock| clock == "CLOCK_REALTIME")
}

/// ptp4l(8): with software time stamps it steers the system clock, else the device's.
fn ptp4l_steers(machine: &Machine, words: &[String]) -> bool {
    const WITH_VALUE: &str = "filp";
    let options = options(words, WITH_VALUE);
    options.iter().any(|(option, value)| match option {
        'S' => true,
        'f' => machine.text(value).is_some_and(|text| {
            text.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some("time_stamping") && words.next() == Some("software")
            })
        }),
        _ => false,
    }) || words
        .windows(2)
        .any(|pair| pair == ["--time_stamping", "software"])
        || words.iter().any(|word| word == "--time_stamping=software")
}

/// Short options as getopt(3) takes them apart, with their values.
fn options<'a>(words: &'a [String], with_value: &str) -> Vec<(char, &'a str)> {
    let mut options = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
            continue;
        };
        for (at, letter) in letters.char_indices() {
            if !with_value.contains(letter) {
                options.push((letter, ""));
                continue;
            }
            let attached = &letters[at + letter.len_utf8()..];
            let value = match attached {
                "" => words.next().map_or("", |value| value),
                attached => attached,
            };
            options.push((letter, value));
            break;
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::super::Live;
    use super::*;

    fn steers(program: &str, command_line: &str) -> bool {
        let root = tempfile::TempDir::new().unwrap();
        let process = root.path().join("proc/7");
        std::fs::create_dir_all(&process).unwrap();
        std::fs::write(process.join("comm"), program).unwrap();
        let words = format!("{program} {command_line}").replace(' ', "\0");
        std::fs::write(process.join("cmdline"), words).unwrap();
        std::fs::write(
            root.path().join("soft.cfg"),
            "[global]\ntime_stamping  software\n",
        )
        .unwrap();
        let machine = Machine::new(root.path(), Box::new(Live));
        running(&machine)[0].steers_system_clock
    }

    #[test]
    fn phc2sys_steers_the_clock_that_it_was_given() {
        assert!(steers("phc2sys", "-a -r"));
        assert!(steers("phc2sys", "-arm -n 24"));
        assert!(steers("phc2sys", "-s eth0 -w"));
        assert!(steers("phc2sys", "-s eth0 -cCLOCK_REALTIME -O 0"));
        assert!(!steers("phc2sys", "-a"));
        assert!(!steers("phc2sys", "-s CLOCK_REALTIME -c eth0 -O 37"));
        assert!(!steers("phc2sys", "-a -r -E ntpshm -M 2"));
    }

    #[test]
    fn ptp4l_steers_the_system_clock_with_software_time_stamps() {
        assert!(steers("ptp4l", "-i eth0 -S"));
        assert!(steers("ptp4l", "-f /soft.cfg"));
        assert!(steers("ptp4l", "--time_stamping=software -i eth0"));
        assert!(!steers("ptp4l", "-i eth0 -f /none.cfg -s"));
    }

    #[test]
    fn chronyd_may_be_told_not_to_steer() {
        assert!(steers("chronyd", "-F 1"));
        assert!(!steers("chronyd", "-x"));
    }
}
