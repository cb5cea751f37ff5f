"""Caffe's messages for pycaffe, made from `caffe.proto.bin` when this module is imported.

Takes the place of the module that protoc generates. Generated code is tied to a range of protobuf
releases, and each distribution's protoc to another one; a description of the messages is not, so
one caffe_pb2 serves every protobuf from 4.22 on.
"""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_files = descriptor_pb2.FileDescriptorSet.FromString(
    Path(__file__).with_name("caffe.proto.bin").read_bytes()
)
DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(_files.file[0].SerializeToString())

for _message in DESCRIPTOR.message_types_by_name.values():
    globals()[_message.name] = message_factory.GetMessageClass(_message)
for _enum in DESCRIPTOR.enum_types_by_name.values():
    globals()[_enum.name] = EnumTypeWrapper(_enum)
    globals().update((value.name, value.number) for value in _enum.values)
