//! `cargo xtask silence`: applications that do not leak, under load. Of each every finding is printed; a warning fails.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::python;
use crate::workspace::{self, Profile};

#[derive(Default, clap::Args)]
pub(crate) struct Options {
    /// Only the applications whose names contain one of these
    #[arg(value_name = "APPLICATION")]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let heldby = workspace::build_heldby(Profile::Debug)?;
    let work = workspace::target()?.join("silence");
    let folder = workspace::root().join("tests").join("silence");
    let environment = python::environment(
        &python::default()?,
        &work.join("environment"),
        &folder.join("requirements.txt"),
        || eprintln!("silence: installing the applications' libraries under the target folder"),
    )?;
    let agent = work.join("heldby_agent.py");
    let source = process::run_quietly(Command::new(&heldby).arg("agent"))?;
    fs::write(&agent, source + "\n").context("cannot write the agent's file")?;

    let mut warnings = 0;
    for application in applications(&folder)? {
        let name = application
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let wanted = |part: &String| name.contains(part.as_str());
        if !options.only.is_empty() && !options.only.iter().any(wanted) {
            continue;
        }
        let dumps = work.join(&*name);
        if dumps.exists() {
            fs::remove_dir_all(&dumps)
                .with_context(|| format!("cannot remove {}", dumps.display()))?;
        }
        fs::create_dir_all(&dumps).with_context(|| format!("cannot make {}", dumps.display()))?;
        let mut command = environment.command();
        command.arg(folder.join("drive.py"));
        process::run_quietly(command.args([&application, &agent, &dumps]))?;
        let report = process::run_quietly(
            Command::new(&heldby)
                .args(["report", "--format", "json"])
                .arg(&dumps),
        )?;
        let report: Value = serde_json::from_str(&report).context("the report is not JSON")?;
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        println!("{name}: {} findings", findings.len());
        for finding in &findings {
            println!("  {}", told(finding));
            warnings += usize::from(finding["severity"] == "warning");
        }
    }
    ensure!(
        warnings == 0,
        "{warnings} warnings about what does not leak"
    );
    Ok(())
}

/// The applications, by name.
fn applications(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut applications: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "drive"))
        .collect();
    applications.sort();
    Ok(applications)
}

fn told(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}: {} of {} {} {}",
        text(&finding["severity"]),
        text(&finding["access_path"]),
        text(&finding["held"]["type"]),
        finding["growth"]["counts"],
        finding["growth"]["retained"],
    )
}
