"""Searching folders: both layouts, natural order, and refusals that say what was searched for and found."""

from __future__ import annotations

import pytest

from Learn2SynthLib.errors import InputError
from Learn2SynthLib.volume.discovery import find_images, find_label_maps, find_pairs, is_label_name


@pytest.fixture
def folder(tmp_path):
    """folder('a/x.nii.gz', ...): empty files below a new folder."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        return tmp_path

    return make


def names(paths):
    return [tuple(p.name for p in path) if isinstance(path, tuple) else path.name for path in paths]


def test_bids_pairs_in_natural_order(folder):
    root = folder(
        *(f"sub-{i}/anat/sub-{i}_{kind}.nii.gz" for i in (10, 2, 1) for kind in ("dseg", "T1w")), "._sub-1_T1w.nii.gz", "README.md"
    )
    assert names(find_pairs(root)) == [(f"sub-{i}_T1w.nii.gz", f"sub-{i}_dseg.nii.gz") for i in (1, 2, 10)]


def test_every_contrast_takes_the_labels_of_its_own_space(folder):
    root = folder("s1_T1w.nii.gz", "s1_FLAIR.nii.gz", "s1_space-FLAIR_dseg.nii.gz", "s1_space-T1w_dseg.nii.gz")
    assert names(find_pairs(root)) == [("s1_FLAIR.nii.gz", "s1_space-FLAIR_dseg.nii.gz"), ("s1_T1w.nii.gz", "s1_space-T1w_dseg.nii.gz")]


def test_labels_of_another_contrast_are_not_taken(folder):
    with pytest.raises(InputError, match=r"no label map for 1 images: s1_FLAIR.nii.gz"):
        find_pairs(folder("s1_T1w.nii.gz", "s1_FLAIR.nii.gz", "s1_space-T1w_dseg.nii.gz"))


@pytest.mark.parametrize(
    "image, label",
    [
        ("sub-1_T1w.mgz", "sub-1_dseg.nrrd"), ("scan.nii.gz", "scan_seg.nii.gz"), ("sub-1_T1w.nii", "sub-1_T1w_seg.nii"),
        ("sub-1_ses-2_desc-preproc_T1w.nii.gz", "sub-1_ses-2_desc-manual_dseg.nii.gz"), ("a b.nii.gz", "a b_labels.nii.gz"),
        ("sub-1/anat/sub-1_T2w.nii.gz", "derivatives/x/sub-1/anat/sub-1_dseg.nii.gz"), ("sub-1_T1w.nii.gz", "sub-1_atlas-muse_dseg.nii.gz"),
    ],
)  # fmt: skip
def test_names_that_belong_together(folder, image, label):
    root = folder(image, label, "sub-1_desc-brain_mask.nii.gz")
    assert find_pairs(root) == [(root / image, root / label)]


def test_people_are_not_mixed_up(folder):
    root = folder("sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz", "sub-11_T1w.nii.gz", "sub-11_dseg.nii.gz")
    assert names(find_pairs(root)) == [("sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz"), ("sub-11_T1w.nii.gz", "sub-11_dseg.nii.gz")]


@pytest.mark.parametrize("given", ["", "imagesTr"])
def test_nnunet_pairs_with_every_channel(folder, given):
    root = folder(
        "imagesTr/c_1_0000.nii.gz", "imagesTr/c_1_0001.nii.gz", "imagesTr/c_2_0000.nii.gz", "labelsTr/c_1.nii.gz", "labelsTr/c_2.nii.gz"
    )
    expected = [("c_1_0000.nii.gz", "c_1.nii.gz"), ("c_1_0001.nii.gz", "c_1.nii.gz"), ("c_2_0000.nii.gz", "c_2.nii.gz")]
    assert names(find_pairs(root / given)) == expected
    assert names(find_label_maps(root)) == ["c_1.nii.gz", "c_2.nii.gz"] and len(find_images(root)) == 3


def test_images_without_labels_are_named(folder):
    root = folder("imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(InputError, match=r"no label map for 1 images: b_0000.nii.gz"):
        find_pairs(root)
    root = folder("bids/sub-01_T1w.nii.gz", "bids/sub-01_dseg.nii.gz", "bids/sub-02_T1w.nii.gz", "bids/sub-2_dseg.nii.gz")
    with pytest.raises(InputError, match=r"sub-02_T1w.nii.gz.*did you mean 'sub-2_dseg.nii.gz'"):
        find_pairs(root / "bids")


@pytest.mark.parametrize(
    "files, words",
    [
        (["readme.txt"], "no volume in the folder"), (["a_T1w.nii.gz"], "1 images .* unlabelled"),
        (["a_dseg.nii.gz"], "1 label maps .*as label maps"),
    ],
)  # fmt: skip
def test_a_folder_without_pairs_says_what_it_holds(folder, files, words):
    with pytest.raises(InputError, match=words) as caught:
        find_pairs(folder(*files))
    assert "BIDS" in str(caught.value) and "nnU-Net" in str(caught.value)


def test_label_maps_from_files_and_folders(folder):
    root = folder("maps/b.nii.gz", "maps/a2.mgz", "maps/a10.mgz", "pairs/x_T1w.nii.gz", "pairs/x_dseg.nii.gz", "one.nii.gz")
    found = find_label_maps([root / "one.nii.gz", root / "maps", root / "pairs", root / "one.nii.gz"])
    assert names(found) == ["one.nii.gz", "a2.mgz", "a10.mgz", "b.nii.gz", "x_dseg.nii.gz"]


@pytest.mark.parametrize("find", [find_label_maps, find_images])
def test_nothing_found_is_refused(folder, find):
    root = folder("notes/a.txt", "scan_T1w.nii.gz")
    for path, words in (
        (root / "notes", "no .* in the folder"),
        (root / "notes" / "a.txt", "unknown file type"),
        (root / "scan_T1.nii.gz", "did you mean"),
    ):
        with pytest.raises(InputError, match=words):
            find([path])


def test_images_are_not_label_maps(folder):
    with pytest.raises(InputError, match=r"2 images .* no label map"):
        find_label_maps(folder("a_T1w.nii.gz", "b_FLAIR.nii.gz"))


def test_images_leave_out_label_maps_and_masks(folder):
    assert names(find_images(folder("a_T1w.nii.gz", "a_dseg.nii.gz", "a_desc-brain_mask.nii.gz", "b.nrrd"))) == ["a_T1w.nii.gz", "b.nrrd"]


def test_a_dicom_folder_is_one_image(folder):
    root = folder("a_T1w.nii.gz")
    for name in ("1", "2"):
        (root / "series").mkdir(exist_ok=True)
        (root / "series" / name).write_bytes(bytes(128) + b"DICM")
    assert names(find_images(root)) == ["a_T1w.nii.gz", "series"] and names(find_images(root / "series")) == ["series"]


@pytest.mark.parametrize(
    "name, label", [("training_seg_05.nii.gz", True), ("aparc+aseg.mgz", True), ("segovia_T1w.nii.gz", False), ("x_probseg.nii.gz", False)]
)
def test_label_names(name, label):
    assert is_label_name(name) is label


def test_real_folders(data_folder):
    counts = {"malf_t1_manual/train": 6, "nichart_t1_flair": 12, "niivue_t1_freesurfer": 1, "msd_hippocampus": 72}
    for name, count in counts.items():
        pairs = find_pairs(data_folder / name)
        assert len(pairs) == len({label for _, label in pairs}) == count
    assert len(find_label_maps(data_folder / "synthseg_label_maps")) == 20
    assert all(
        f"space-{image.name.split('_')[1].split('.')[0]}_" in label.name for image, label in find_pairs(data_folder / "nichart_t1_flair")
    )


def test_the_probabilities_beside_a_segmentation_are_no_label_map(folder) -> None:  # type: ignore[no-untyped-def]
    root = folder("sub-1_dseg.nii.gz", "sub-1_dseg_probabilities.nii.gz", "sub-2_dseg.nii.gz", "sub-2_dseg_probabilities.nii.gz")
    assert [path.name for path in find_label_maps(root)] == ["sub-1_dseg.nii.gz", "sub-2_dseg.nii.gz"]
