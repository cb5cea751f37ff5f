"""Parse protobuf's text format: errors have a line and column, unknown fields are listed.

protobuf either stops at the first unknown field or skips all of them without a message. Here it
skips them, and a scan of the text's braces finds them.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.message import Message
from google.protobuf.text_format import Parse, ParseError

# When protobuf skips unknown fields, its time grows with the square of a line's length.
LONGEST_LINE = 20_000
LONGEST_MESSAGE = 200
# Braces and colons in strings and comments do not count: both are blanked before the scan.
OPAQUE = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""")
FIELD = re.compile(r"(?<!\w)([A-Za-z_]\w*)\s*(?::?\s*([{<])|:)|([{<])|([}>])")


class EmptyError(ValueError):
    """The text has only white space and comments."""


def parse(text: str, message: Message) -> dict[str, int]:
    """Parse text into a message: strictly, or without unknown fields if they are its only fault.

    Parameters
    ----------
    text
        protobuf's text format.
    message
        An empty message, which is filled.

    Returns
    -------
    dict of str to int
        The omitted fields, only the outermost ones: `Message.field` to its first line.

    Raises
    ------
    EmptyError
        When there is nothing to parse.
    ValueError
        When the text is not valid: `line:column: what: what next`.
    """
    if not OPAQUE.sub("", text).strip():
        raise EmptyError
    try:
        _parse(text, message, tolerant=False)
    except ValueError:
        unknown = _unknown_fields(text, message)
        if not unknown or max(map(len, text.splitlines())) > LONGEST_LINE:
            raise
        message.Clear()
        _parse(text, message, tolerant=True)
        return unknown
    return {}


def _parse(text: str, message: Message, tolerant: bool) -> None:
    try:
        Parse(text, message, allow_unknown_field=tolerant)
    except ParseError as error:
        # protobuf's message is `12:3 : 'the whole line': Enum type "netgen.caffe.X" has no ...`
        what = re.sub(r"^[\d:\s]+('.*': )?", "", str(error)).replace("netgen.caffe.", "")
        what = what.rstrip(".") if len(what) < LONGEST_MESSAGE else what[:LONGEST_MESSAGE] + " …"
        place = f"{error.GetLine() or 1}:{error.GetColumn() or 1}"
        raise ValueError(f"{place}: {what}: correct it there; is the file whole?") from None
    except RecursionError:
        raise ValueError("1: nested too deeply: is it a network or a solver?") from None


def _unknown_fields(text: str, root: Message) -> dict[str, int]:
    """Find the outermost fields the schema does not have: `Message.field` to its first line."""
    unknown: dict[str, int] = {}
    blank = OPAQUE.sub(lambda match: " " * len(match.group()), text)
    inner: Any = root.DESCRIPTOR  # of one of two classes, as protobuf was built
    messages = [inner]  # those that are open; None where already unknown
    line, seen = 1, 0
    for match in FIELD.finditer(blank):
        name, opens, opens_bare, closes = match.groups()
        if closes:
            inner = messages.pop() if len(messages) > 1 else None
        if name and (here := messages[-1]):
            field = here.fields_by_name.get(name)
            inner = field.message_type if field else None
            if not field:
                line, seen = line + blank.count("\n", seen, match.start()), match.start()
                unknown.setdefault(f"{here.name}.{name}", line)
        elif name:
            inner = None
        if opens or opens_bare:
            messages.append(inner)
    return unknown


# ---- whose the unknown fields are ---------------------------------------------------------------

# Fields of other branches of Caffe, from their caffe.proto: the branch, the message, its fields.
OF_BRANCHES = (
    ("SSD", "LayerParameter", "annotated_data_param detection_evaluate_param multibox_loss_param"
     " detection_output_param norm_param permute_param prior_box_param video_data_param"),
    ("SSD", "TransformationParameter", "crop_h crop_w distort_param emit_constraint expand_param"
     " noise_param resize_param"),
    ("SSD", "SolverParameter", "ap_version eval_type plateau_winsize show_per_class_result"),
    ("NVCaffe", "NetParameter", "default_backward_math default_backward_type default_forward_math"
     " default_forward_type global_grad_scale"),
    ("NVCaffe", "LayerParameter", "backward_math backward_type forward_math forward_type"
     " detectnet_augmentation_param detectnet_groundtruth_param"),
    ("NVCaffe", "DataParameter", "cache parser_threads shuffle threads"),
    ("NVCaffe", "BatchNormParameter", "bias_filler scale_bias scale_filler"),
    ("NVCaffe", "ConvolutionParameter", "cudnn_convolution_algo_seeker"),
    ("NVCaffe", "SolverParameter", "epoch_size global_grad_scale max_epoch test_epoch_size"
     " test_interval_epoch"),
    ("Intel's Caffe", "NetParameter", "engine"),
    ("Intel's Caffe", "LayerParameter", "engine mn_activation_param mn_grad_compress_param"
     " multinode quantization_param split_param"),
    ("Fast R-CNN", "LayerParameter", "roi_pooling_param smooth_l1_loss_param"),
    ("R-FCN", "LayerParameter", "box_annotator_ohem_param psroi_pooling_param"),
    ("DeepLab", "LayerParameter", "interp_param"),
    ("DeepLab: here `dilation`", "ConvolutionParameter", "hole hole_h hole_w"),
    ("FlowNet", "LayerParameter", "accum_param augmentation_param coeff_schedule_param"
     " correlation_param downsample_param flow_warp_param l1_loss_param lpq_loss_param"
     " resample_param"),
    ("PSPNet", "LayerParameter", "bn_param"),
    ("ShuffleNet", "LayerParameter", "shuffle_channel_param"),
    # Without it, sizes are rounded up; what it was set to is not known here.
    ("BVLC's pull request 3057: here `round_mode`", "PoolingParameter", "ceil_mode"),
)  # fmt: skip
BRANCH_OF = {
    f"{message}.{field}": branch
    for branch, message, fields in OF_BRANCHES
    for field in fields.split()
}


def origin_of(field: str) -> str:
    """Return ", of " and the branch of Caffe that has a field (`Message.field`), or ""."""
    return f", of {BRANCH_OF[field]}" if field in BRANCH_OF else ""
