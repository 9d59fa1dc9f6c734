//! From a long run that broke a rule to the few steps that do.

use crate::{
    chance::Chance,
    command::Step,
    generate::Generator,
    mutant::{Fault, Mutant},
    run::Run,
    told::Broken,
};

/// Steps that are played again at most, over all tries.
const STEPS_MAX: usize = 150_000;

/// A run that broke a rule.
pub(crate) struct Failure {
    pub(crate) steps: Vec<Step>,
    pub(crate) broken: Broken,
    /// What was said and heard, as a transcript.
    pub(crate) said: Vec<String>,
}

/// A runtime of one thread.
fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap()
}

/// So many commands by chance.
pub(crate) fn explore(
    seed: u64,
    commands: u32,
    fault: Option<(Fault, u32)>,
) -> Result<u32, Failure> {
    runtime().block_on(async {
        let mut run = Run::new(fault.map(Mutant::new)).await;
        let mut generator = Generator::new(seed);
        let mut steps = Vec::new();
        while run.commands < commands {
            let step = generator.next(&run.world);
            steps.push(step.clone());
            if let Err(broken) = run.step(&step).await {
                let said = std::mem::take(&mut run.said);
                return Err(Failure {
                    steps,
                    broken,
                    said,
                });
            }
        }
        let (done, said) = (run.commands, std::mem::take(&mut run.said));
        match run.end().await {
            Ok(()) => Ok(done),
            Err(broken) => Err(Failure {
                steps,
                broken,
                said,
            }),
        }
    })
}

/// These steps; the rule they break, if they do.
fn replay(steps: &[Step], fault: Option<(Fault, u32)>) -> Option<(usize, Failure)> {
    runtime().block_on(async {
        let mut run = Run::new(fault.map(Mutant::new)).await;
        for (at, step) in steps.iter().enumerate() {
            if let Err(broken) = run.step(step).await {
                let said = std::mem::take(&mut run.said);
                let steps = steps[..=at].to_vec();
                return Some((
                    at,
                    Failure {
                        steps,
                        broken,
                        said,
                    },
                ));
            }
        }
        None
    })
}

/// The smallest list of steps that was found to break the same rule.
pub(crate) fn shrunk(failure: Failure, fault: Option<(Fault, u32)>) -> Failure {
    let mut best = failure;
    let mut played = 0;
    let mut part = best.steps.len() / 2;
    let mut chance = Chance::new(1);
    while part > 0 && played < STEPS_MAX {
        let mut at = 0;
        let mut is_smaller = false;
        while at < best.steps.len() && played < STEPS_MAX {
            let end = (at + part).min(best.steps.len());
            let mut fewer = best.steps.clone();
            fewer.drain(at..end);
            played += fewer.len();
            match replay(&fewer, fault) {
                Some((_, found)) if found.broken.rule == best.broken.rule => {
                    best = found;
                    is_smaller = true;
                }
                _ => at = end,
            }
        }
        // Once more over the same size if that helped, now and then.
        if !is_smaller || chance.percent(50) {
            part /= 2;
        }
    }
    best
}

impl Failure {
    /// As a transcript with its reason.
    pub(crate) fn text(&self) -> String {
        let Broken { rule, what } = &self.broken;
        format!(
            "# rule {rule}: {what}\n# state: none\n{}\n",
            self.said.join("\n")
        )
    }
}
