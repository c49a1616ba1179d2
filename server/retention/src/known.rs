//! What is known not to be a leak of the program: data, not code.

/// Packages whose objects are never a finding: the debugger's and the capture's own.
pub(crate) const TOOLS: &[&str] = &[
    "heldby_agent",
    "heldby_run",
    "debugpy",
    "pydevd",
    "_pydevd_bundle",
    "_pydev_bundle",
    "_pydevd_frame_eval",
    "_pydev_runfiles",
    "pydevd_file_utils",
    "pydevd_plugins",
    "_debugpy",
];

/// Globals that Python code keeps for itself in every module, by name.
pub(crate) const MODULE_BOOKKEEPING: &[&str] = &[
    "__warningregistry__",
    "__builtins__",
    "__annotations__",
    "__path__",
];
