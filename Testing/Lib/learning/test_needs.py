"""What can be told before anything is trained is told then; and which files a run depends on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from Learn2SynthLib.config import RunConfig
from Learn2SynthLib.errors import InputError
from Learn2SynthLib.files import write_json
from Learn2SynthLib.labels import load_table
from Learn2SynthLib.learning.needs import check_needs, named_files, split_real
from Learn2SynthLib.learning.session import train_run
from Learn2SynthLib.run import Run
from Learn2SynthLib.volume.cohort import Cohort, Subject

Tiny = Callable[..., RunConfig]


def trained(config: RunConfig, cohort: Cohort, folder: Path) -> Path:
    train_run(config, cohort, Run(folder), lambda event: None)
    return folder


def test_a_synthesis_is_used_again_from_a_run_and_refused_where_another_was_learned(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    learned = trained(tiny(steps=1), cohort, tmp_path / "learned")
    check_needs(tiny(2, f"learn2synth.begin={learned}"), cohort)
    trained(tiny(2, f"learn2synth.begin={learned}", "learn2synth.lr=0", steps=1), cohort, tmp_path / "again")
    nothing = trained(tiny(strategy="supervised", steps=1), cohort, tmp_path / "nothing")
    for settings in ([f"learn2synth.begin={nothing}"], [f"learn2synth.begin={learned}", "learn2synth.learn=noise"]):
        with pytest.raises(InputError, match="has learned another synthesis"):
            check_needs(tiny(2, *settings), cohort)
    check_needs(tiny(2, f"learn2synth.begin={nothing}", strategy="randomised"), cohort)


def test_more_structures_than_can_be_counted_are_refused(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    labels = [{"value": k, "name": f"structure {k}"} for k in range(257)]
    write_json(tmp_path / "many.json", {"labels": labels})
    with pytest.raises(InputError, match="257 with the background; allowed: at most 256"):
        check_needs(tiny(2, strategy="randomised", target=str(tmp_path / "many.json")), cohort)


def test_the_users_own_files_decide_a_run_too(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    target, numbers, contrast = (tmp_path / name for name in ("target.json", "numbers.json", "contrast.json"))
    write_json(target, load_table("brain-coarse").to_json())
    write_json(numbers, load_table("freesurfer").to_json())
    write_json(contrast, {"mean": {"thalamus": [0.5, 0.6]}})
    own = Cohort(tuple(replace(subject, table=str(numbers)) for subject in cohort.subjects))
    learned = trained(tiny(steps=1), cohort, tmp_path / "run")
    config = tiny(2, f"learn2synth.begin={learned}", f"synthesis.contrast={contrast}", target=str(target))
    assert set(named_files(config, own)) == {target, numbers, contrast, learned / "best.l2s"}
    assert named_files(replace(config, strategy="mixed"), own) == (contrast, numbers, target)
    assert named_files(tiny(2, "synthesis.contrast=t1"), cohort) == ()


def test_a_target_begins_with_the_background(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    labels = [{"value": 17, "name": "Hippocampus"}, {"value": 0, "name": "background"}]
    write_json(tmp_path / "own.json", {"labels": labels})
    with pytest.raises(InputError, match="begins with 'Hippocampus'; allowed: the background, 0, as its first label"):
        check_needs(tiny(2, strategy="randomised", target=str(tmp_path / "own.json")), cohort)


def test_a_side_matters_to_who_searches_flips_alone(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    write_json(tmp_path / "half.json", {"labels": [{"value": 0, "name": "background"}, {"value": 10, "name": "left thalamus"}]})
    config = tiny(2, "synthesis.flip=0", "policy_search.search=gamma", strategy="policy_search", target=str(tmp_path / "half.json"))
    check_needs(config, cohort)


def test_an_unknown_tissue_in_a_table_of_contrast_is_told(tiny: Tiny, cohort: Cohort, tmp_path: Path) -> None:
    write_json(tmp_path / "mine.json", {"mean": {"thalamuss": [0.1, 0.2]}})
    with pytest.raises(InputError, match="unknown tissue 'thalamuss'.*did you mean 'thalamus'"):
        check_needs(tiny(2, f"synthesis.contrast={tmp_path / 'mine.json'}", strategy="randomised"), cohort)
    check_needs(tiny(2, "synthesis.contrast=t1", strategy="randomised"), cohort)


def test_all_scans_of_a_person_are_held_out_together(tiny: Tiny) -> None:
    names = ["sub-1_T1w", "sub-2_T1w", "sub-2_FLAIR", "sub-3_ses-1_T1w", "other", "sub-3_T2w"]
    scans = [Subject(name, "real", Path("any") / f"{name}.nii.gz", Path("any") / f"{name}_dseg.nii.gz") for name in names]
    learned, measured, independent = split_real(tiny(), Cohort(tuple(scans)))
    assert [scan.name for scan in measured] == ["other"] and len(learned) == 5 and independent
    learned, measured, independent = split_real(tiny(), Cohort(tuple(scan for scan in scans if scan.name != "other")))
    assert [scan.name for scan in measured] == ["sub-3_ses-1_T1w", "sub-3_T2w"] and len(learned) == 3 and independent
