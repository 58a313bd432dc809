//! The main job: Request and Facts make a Plan, the Plan is executed, the Report says what came out.

pub mod request;
pub mod steps;
pub mod facts;
pub mod wizard;
pub mod plan;
pub mod password;
pub mod journal;
pub mod run;
pub mod undo_check;
pub mod report;
