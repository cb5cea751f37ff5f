"""Edits of pycaffe's Python, for the Python and the packages of today."""

from __future__ import annotations

from replacement import Replacement

ROWS = (
    Replacement(
        # All trees: scikit-image renamed the argument in 0.15 and then dropped the old name.
        why="caffe.io.load_image works with today's scikit-image",
        file="python/caffe/io.py",
        old="as_grey=not color",
        new="as_gray=not color",
        unneeded_if=("as_gray=not color",),
    ),
    Replacement(
        # All trees: NumPy 2.3 dropped tostring, an alias of tobytes since 2010.
        why="caffe.io.array_to_datum works with today's NumPy",
        file="python/caffe/io.py",
        old="arr.tostring()",
        new="arr.tobytes()",
        unneeded_if=("arr.tobytes()",),
    ),
    Replacement(
        # All trees: NumPy 2.3 dropped fromstring of bytes. A bytearray keeps the result writable.
        why="caffe.io.datum_to_array works with today's NumPy",
        file="python/caffe/io.py",
        old="np.fromstring(datum.data,",
        new="np.frombuffer(bytearray(datum.data),",
        unneeded_if=("np.frombuffer(",),
    ),
    Replacement(
        # pypi: Classifier, Detector and Transformer met another size with a NameError.
        why="caffe.io.resize_image resizes",
        file="python/caffe/io.py",
        old="""\
from scipy.ndimage import zoom
""",
        new="""\
from scipy.ndimage import zoom
from skimage.transform import resize
""",
        unneeded_if=("from skimage.transform import resize",),
    ),
    Replacement(
        # All trees: half a second at every start, for two large packages that few need.
        why="caffe.io loads SciPy when an image is resized, not when Caffe is imported",
        file="python/caffe/io.py",
        old="""\
import skimage.io
from scipy.ndimage import zoom
from skimage.transform import resize
""",
        new="""\


def zoom(*arguments, **options):
    from scipy import ndimage

    return ndimage.zoom(*arguments, **options)


def resize(*arguments, **options):
    from skimage import transform

    return transform.resize(*arguments, **options)

""",
    ),
    Replacement(
        # All trees, as before.
        why="caffe.io loads scikit-image when an image is read, not when Caffe is imported",
        file="python/caffe/io.py",
        old="    img = skimage.img_as_float(",
        new="    import skimage.io\n\n    img = skimage.img_as_float(",
    ),
    Replacement(
        # All trees: since Python 3.7 a generator may not end by StopIteration.
        why="caffe.Net.forward_backward_all works without inputs or diffs",
        file="python/caffe/pycaffe.py",
        old="""\
    num = len(six.next(six.itervalues(blobs)))
    batch_size =""",
        new="""\
    if not blobs:
        return
    num = len(six.next(six.itervalues(blobs)))
    batch_size =""",
    ),
    Replacement(
        # All trees: it stopped at the shorter of the two.
        why="caffe.Net.forward_backward_all gives arrays of more blobs than diffs",
        file="python/caffe/pycaffe.py",
        old="""\
    for out, diff in zip(all_outs, all_diffs):
        all_outs[out] = np.asarray(all_outs[out])
        all_diffs[diff] = np.asarray(all_diffs[diff])
""",
        new="""\
    for found in (all_outs, all_diffs):
        for name in found:
            found[name] = np.asarray(found[name])
""",
    ),
    Replacement(
        # All trees, as before.
        why="caffe.Net.forward_backward_all drops the padding of more blobs than diffs",
        file="python/caffe/pycaffe.py",
        old="""\
        for out, diff in zip(all_outs, all_diffs):
            all_outs[out] = all_outs[out][:-pad]
            all_diffs[diff] = all_diffs[diff][:-pad]
""",
        new="""\
        for found in (all_outs, all_diffs):
            for name in found:
                found[name] = found[name][:-pad]
""",
    ),
    Replacement(
        # pypi and 2016: Python 3 divides whole numbers into fractions.
        why="caffe.Classifier averages over ten crops",
        file="python/caffe/classifier.py",
        old="len(predictions) / 10,",
        new="len(predictions) // 10,",
        unneeded_if=("len(predictions) // 10,",),
    ),
)
