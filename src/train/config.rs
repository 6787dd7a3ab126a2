//! What a training run is told.

/// Which part of the encoder learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The trunk stays; a head is fitted to its sentence vectors. Seconds; serving costs nothing more.
    Frozen,
    /// A copy of the trunk learns too. Minutes; serving runs the copy beside the shared trunk.
    Full,
}

impl Mode {
    /// The word on the command line and in cards.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Full => "full",
        }
    }
}

/// Numbers of a training run; [`TrainSettings::new`] has what the figures in the documentation were measured with.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Name of the head.
    pub task: String,
    /// Which part learns.
    pub mode: Mode,
    /// Whether a text may have several labels.
    pub several: bool,
    /// Whether rows without a label are left out instead of refused.
    pub skip_unlabelled: bool,
    /// Passes over the training rows at most.
    pub epochs: usize,
    /// Passes without a better dev result before training ends.
    pub patience: usize,
    /// Peak learning rate; 0: 5e-4 for a trunk, 5e-3 for a frozen one's head.
    pub rate: f32,
    /// Rows of one step.
    pub batch: usize,
    /// Share of the target spread over all labels (Szegedy et al. 2016).
    pub smoothing: f32,
    /// Whether rare labels weigh more, so that all labels weigh the same.
    pub balanced: bool,
    /// Share of in-scope rows that the out-of-scope label may take from the dev split.
    pub false_rejection: f32,
    /// Share of the training rows held out as dev split where none is given; at most [`TrainSettings::DEV_MAX`] rows.
    pub dev_share: f32,
    /// Threads.
    pub threads: usize,
    /// Seed of every random choice.
    pub seed: u64,
}

impl TrainSettings {
    /// Most rows that are held out where no dev split is given.
    pub const DEV_MAX: usize = 500;

    /// Defaults for a task; `act` and `conduct` may have several labels.
    pub fn new(task: &str) -> Self {
        Self {
            task: task.to_owned(),
            mode: Mode::Frozen,
            several: matches!(task, "act" | "conduct"),
            skip_unlabelled: false,
            epochs: 8,
            patience: 3,
            rate: 0.0,
            batch: 32,
            smoothing: 0.1,
            balanced: false,
            false_rejection: 0.05,
            dev_share: 0.1,
            threads: num_cpus::get(),
            seed: 7,
        }
    }
}
