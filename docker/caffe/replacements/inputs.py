"""Edits of what reads images and weights."""

from __future__ import annotations

from replacement import Replacement

ROWS = (
    Replacement(
        # pypi: VGG-16 of Table 2, 540 MB, could be saved and not loaded. 2016 and 1.0 read 2 GiB.
        why="a .caffemodel may have up to 2 GiB",
        file="src/caffe/util/io.cpp",
        old="""\
  CodedInputStream* coded_input = new CodedInputStream(raw_input);
  coded_input->SetTotalBytesLimit(536870912);

  bool success = proto->ParseFromCodedStream(coded_input);

  delete coded_input;
  delete raw_input;
  close(fd);
""",
        new="""\
  CodedInputStream* coded_input = new CodedInputStream(raw_input);
  coded_input->SetTotalBytesLimit(INT_MAX);

  bool success = proto->ParseFromCodedStream(coded_input);

  delete coded_input;
  delete raw_input;
  close(fd);
""",
        unneeded_if=("kProtoReadBytesLimit",),
    ),
    Replacement(
        # pypi, where the mean has the size of the image, as everywhere else, not of the crop.
        why="encoded images are cropped with a mean file",
        file="src/caffe/data_transformer.cpp",
        old="""\
    CHECK_EQ(cv_cropped_image.rows, data_mean_.height());
    CHECK_EQ(cv_cropped_image.cols, data_mean_.width());
""",
        new="""\
    CHECK_EQ(img_height, data_mean_.height());
    CHECK_EQ(img_width, data_mean_.width());
""",
        unneeded_if=("cv_cropped_img",),
    ),
    Replacement(
        # pypi: it subtracted the mirrored image's mean.
        why="encoded images are mirrored with a mean file",
        file="src/caffe/data_transformer.cpp",
        old="""\
          int mean_index = (c * img_height + h_off + h_idx_real) * img_width
              + w_off + w_idx_real;
""",
        new="""\
          int mean_index = (c * img_height + h_off + h) * img_width + w_off + w;
""",
        unneeded_if=("cv_cropped_img",),
    ),
)
