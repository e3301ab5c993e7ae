//! Counting a plan, and printing the counts.

use alloc::collections::BTreeMap;
use core::fmt;

use ia2_core::site::{Form, Refusal};

use crate::plan::ObjectPlan;

/// How many sites went which way. Adds up over objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sites, patched or not.
    pub found: usize,
    /// Sites patched, by form; only forms that occur.
    pub forms: BTreeMap<Form, usize>,
    /// Sites left alone, by reason; only reasons that occur.
    pub refusals: BTreeMap<Refusal, usize>,
    /// Pairs `0f 05` that are not an instruction.
    pub hidden: usize,
}

impl Summary {
    /// Counts `plan`.
    #[must_use]
    pub fn of(plan: &ObjectPlan) -> Self {
        let mut summary =
            Self { found: plan.sites.len(), hidden: plan.hidden.len(), ..Self::default() };
        for site in &plan.sites {
            let count = match &site.outcome {
                Ok(patch) => summary.forms.entry(patch.form).or_insert(0),
                Err(refusal) => summary.refusals.entry(*refusal).or_insert(0),
            };
            *count = count.saturating_add(1);
        }
        summary
    }

    /// How many sites are patched.
    #[must_use]
    pub fn patched(&self) -> usize {
        self.forms.values().sum()
    }

    /// How many sites are left alone.
    #[must_use]
    pub fn unpatched(&self) -> usize {
        self.refusals.values().sum()
    }
}

/// One line: `526 sites: 520 patched (A 450, D 40, B 25, C 5), 6 left alone (indirect-jump 6), 3
/// hidden pairs`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sites: {} patched", self.found, self.patched())?;
        let mut separator = " (";
        for (form, count) in &self.forms {
            write!(f, "{separator}{} {count}", form.letter())?;
            separator = ", ";
        }
        if !self.forms.is_empty() {
            f.write_str(")")?;
        }
        write!(f, ", {} left alone", self.unpatched())?;
        let mut separator = " (";
        for (refusal, count) in &self.refusals {
            write!(f, "{separator}{} {count}", refusal.name())?;
            separator = ", ";
        }
        if !self.refusals.is_empty() {
            f.write_str(")")?;
        }
        if self.hidden != 0 {
            write!(f, ", {} hidden", self.hidden)?;
        }
        Ok(())
    }
}
