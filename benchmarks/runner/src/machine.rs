use std::fs;
use std::process::Command;

/// What the figures were measured on, as Markdown.
pub(crate) fn describe(postgres: Option<&str>) -> String {
    let line = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        found.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let directory = std::env::temp_dir();
    let file_system = said("df", &["--output=fstype,target", &directory.display().to_string()]);
    let file_system =
        file_system.lines().last().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" on ");
    let facts = [
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("commit", said("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
        ("processor", format!("{}, {cores} cores", line("/proc/cpuinfo", "model name"))),
        ("memory", line("/proc/meminfo", "MemTotal")),
        ("system", format!("{}, Linux {}", line("/etc/os-release", "PRETTY_NAME="), said("uname", &["-r"]))),
        ("stores lie in", format!("{} ({file_system})", directory.display())),
        ("PostgreSQL", postgres.unwrap_or("none was started").to_owned()),
        ("Rust", said("rustc", &["--version"])),
        ("Python", said("python3", &["--version"])),
        ("load before the run", line("/proc/loadavg", "")),
    ];
    let rows = facts.map(|(name, value)| format!("| {name} | {} |\n", value.trim()));
    format!("| | |\n|---|---|\n{}", rows.concat())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
