"""What a reader is told of a trait before he trains on it."""

from engine.quality.breaks import find_breaks
from engine.quality.learning_curve import LearningCurve
from engine.quality.outlook import Outlook
from engine.report.separation_table import Separation, describe_outlook, describe_separation

CURVE = LearningCurve(8, ((7, 0.9),), 0.9, 0.05, 0.004, 0.01)


def test_clusters_that_lie_apart_are_told_with_their_breaks() -> None:
    breaks = find_breaks([0.5, 0.6, 0.7, 0.8] * 2, [-0.4, -0.3, -0.2, -0.1] * 2)
    said = describe_outlook(Outlook(0.95, breaks, CURVE))
    assert said.startswith("Enough. Twice as many texts would change the AUC by +0.004, give or take 0.010.")
    assert "The clusters lie apart: developing -0.17, solid +0.57, strong +0.72" in said
    assert "unsure" not in said


def test_clusters_that_overlap_get_no_grade_and_few_texts_are_said_to_be_unsure() -> None:
    breaks = find_breaks([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3])
    said = describe_outlook(Outlook(0.75, breaks, CURVE))
    assert said.startswith("Better seeds")
    assert "The clusters overlap, so no grade is given" in said
    assert said.endswith("which few texts leave unsure.")


def test_trait_that_was_not_measured_is_told_so_and_an_evaluation_pool_has_no_outlook() -> None:
    assert describe_outlook(Outlook()).startswith("Not known")
    assert "Will" not in describe_separation(Separation("clarity", 0.9), "Clarity")
    assert "Not known" in describe_separation(Separation("clarity", None, outlook=Outlook()), "Clarity")
