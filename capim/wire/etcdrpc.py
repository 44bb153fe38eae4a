"""The messages of etcd's Cluster and Maintenance services, as the protobuf runtime's classes.

Field numbers are those of go.etcd.io/etcd/api/v3 `etcdserverpb/rpc.proto` (3.5 and 3.6 agree on them).
Only what Cluster API and `etcdctl member|endpoint|alarm|move-leader` use is described; unknown fields
of a request are skipped, as protobuf has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from capim.wire.grpcserver import GrpcCode, GrpcError

if TYPE_CHECKING:
    from google.protobuf.message import Message

_PACKAGE: Final = "etcdserverpb"
_TYPES: Final = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,  # enums too: the same bytes
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
}

_HEADER: Final = "header:1:ResponseHeader"
#: message -> its fields as `name:number:type`, a `*` for repeated
_MESSAGES: Final = {
    "ResponseHeader": "cluster_id:1:uint64 member_id:2:uint64 revision:3:int64 raft_term:4:uint64",
    "Member": "ID:1:uint64 name:2:string peerURLs:3:string* clientURLs:4:string* isLearner:5:bool",
    "MemberListRequest": "linearizable:1:bool",
    "MemberListResponse": f"{_HEADER} members:2:Member*",
    "MemberRemoveRequest": "ID:1:uint64",
    "MemberRemoveResponse": f"{_HEADER} members:2:Member*",
    "StatusRequest": "",
    "StatusResponse": (
        f"{_HEADER} version:2:string dbSize:3:int64 leader:4:uint64 raftIndex:5:uint64 raftTerm:6:uint64 "
        "raftAppliedIndex:7:uint64 errors:8:string* dbSizeInUse:9:int64 isLearner:10:bool "
        "storageVersion:11:string dbSizeQuota:12:int64"
    ),
    "AlarmRequest": "action:1:int32 memberID:2:uint64 alarm:3:int32",
    "AlarmMember": "memberID:1:uint64 alarm:2:int32",
    "AlarmResponse": f"{_HEADER} alarms:2:AlarmMember*",
    "MoveLeaderRequest": "targetID:1:uint64",
    "MoveLeaderResponse": _HEADER,
    "DefragmentRequest": "",
    "DefragmentResponse": _HEADER,
    "HashKVRequest": "revision:1:int64",
    "HashKVResponse": f"{_HEADER} hash:2:uint32 compact_revision:3:int64 hash_revision:4:int64",
}

#: a message, or a field's value: the runtime builds its attributes from the descriptor
AnyMessage: TypeAlias = Any


def _describe(name: str, fields: str) -> descriptor_pb2.DescriptorProto:
    message = descriptor_pb2.DescriptorProto(name=name)
    for text in fields.split():
        field_name, number, kind = text.split(":")
        repeated = kind.endswith("*")
        kind = kind.removesuffix("*")
        described = message.field.add(
            name=field_name,
            number=int(number),
            label=(
                descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            ),
        )
        if kind in _TYPES:
            described.type = _TYPES[kind]
        else:
            described.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
            described.type_name = f".{_PACKAGE}.{kind}"
    return message


def _message_classes() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="capim/etcdrpc.proto", package=_PACKAGE, syntax="proto3"
    )
    file.message_type.extend(_describe(name, fields) for name, fields in _MESSAGES.items())
    pool = (
        descriptor_pool.DescriptorPool()
    )  # our own: another library may describe the same package
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES: Final = _message_classes()


def new(name: str, /, **fields: AnyMessage) -> AnyMessage:
    """Build a message by its name in etcdserverpb."""
    return _CLASSES[name](**fields)


def decode(name: str, data: bytes) -> AnyMessage:
    """Read a message. Raises GrpcError INTERNAL for bytes that are none, as grpc-go does."""
    message = _CLASSES[name]()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise GrpcError(GrpcCode.INTERNAL, f"grpc: error unmarshalling request: {error}") from error
    return message


def method(service: str, name: str) -> str:
    """Return the path of a method: `/etcdserverpb.Cluster/MemberList`."""
    return f"/{_PACKAGE}.{service}/{name}"
