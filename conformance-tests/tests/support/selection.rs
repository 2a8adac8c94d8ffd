/// Which trials a command line asks for, read as libtest reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    wanted: Vec<String>,
    skipped: Vec<String>,
    flags: Vec<String>,
}

/// What changes nothing here: how libtest shows what it runs, and how much of it at once.
const WITHOUT_EFFECT: &[&str] = &[
    "--include-ignored",
    "--no-capture",
    "--nocapture",
    "--quiet",
    "--report-time",
    "--show-output",
    "--shuffle",
    "--test",
    "-q",
];
const FLAGS: &[&str] = &["--exact", "--ignored", "--list"];
const WITH_VALUE: &[&str] =
    &["--color", "--format", "--logfile", "--shuffle-seed", "--skip", "--test-threads", "-Z"];

impl Selection {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut selection = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                selection.wanted.extend(arguments);
                break;
            }
            let (option, joined) = match argument.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            if WITH_VALUE.contains(&option) {
                let value = joined.or_else(|| arguments.next());
                let value = value.ok_or_else(|| format!("argument to option '{option}' missing"))?;
                if option == "--skip" {
                    selection.skipped.push(value);
                }
            } else if FLAGS.contains(&option) && joined.is_none() {
                selection.flags.push(argument);
            } else if !option.starts_with('-') {
                selection.wanted.push(argument);
            } else if !WITHOUT_EFFECT.contains(&option) || joined.is_some() {
                return Err(format!("unrecognized option: '{argument}'"));
            }
        }
        Ok(selection)
    }

    /// Whether names are asked for, and nothing is to be run.
    pub(crate) fn is_list(&self) -> bool {
        self.has("--list")
    }

    /// Whether this trial is asked for: by any of the names, unless it is skipped. Of those that are ignored there are none.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let is_named = |part: &String| if self.has("--exact") { name == part } else { name.contains(part) };
        !self.has("--ignored")
            && (self.wanted.is_empty() || self.wanted.iter().any(is_named))
            && !self.skipped.iter().any(is_named)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }
}
