"""The manifests that the kubectl scenarios use."""

from __future__ import annotations

from typing import Final

CONFIG: Final = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: paint
  labels: {app: paint, tier: front}
data:
  colour: red
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: brush
  labels: {app: brush}
data:
  colour: none
  width: "3"
---
apiVersion: v1
kind: Secret
metadata:
  name: key
  labels: {app: paint}
stringData:
  password: secret
"""

PRUNE: Final = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: keep
  labels: {part: prune}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: drop
  labels: {part: prune}
"""

#: a field that does not exist, and a value of the wrong type
BAD: Final = """\
apiVersion: v1
kind: Service
metadata:
  name: bad
spec:
  colour: red
  ports:
  - port: 80
    nane: http
"""

WEB: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 0
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - name: http
    port: 80
    targetPort: 8080
"""

POD: Final = """\
apiVersion: v1
kind: Pod
metadata:
  name: lone
  labels: {app: lone}
spec:
  schedulerName: nobody
  containers:
  - name: main
    image: busybox
    command: [sleep, "1"]
    env:
    - {name: A, value: "1"}
    - name: B
      valueFrom:
        configMapKeyRef: {name: paint, key: colour}
    resources:
      requests: {cpu: 100m}
      limits: {memory: 64Mi}
    readinessProbe:
      httpGet: {path: /, port: 80}
    volumeMounts:
    - {name: scratch, mountPath: /scratch}
  volumes:
  - name: scratch
    emptyDir: {}
  tolerations:
  - {key: example.com/a, operator: Exists}
"""

APPS: Final = """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: set
spec:
  replicas: 1
  serviceName: set
  selector:
    matchLabels: {app: set}
  template:
    metadata:
      labels: {app: set}
    spec:
      schedulerName: nobody
      containers:
      - {name: main, image: busybox}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: each
spec:
  selector:
    matchLabels: {app: each}
  template:
    metadata:
      labels: {app: each}
    spec:
      nodeSelector: {example.com/nowhere: "true"}
      containers:
      - {name: main, image: busybox}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: once
spec:
  template:
    spec:
      schedulerName: nobody
      restartPolicy: Never
      containers:
      - {name: main, image: busybox}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: "0 3 * * *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
          - {name: main, image: busybox}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: door
spec:
  ingressClassName: none
  rules:
  - host: web.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service: {name: web, port: {number: 80}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: wall
spec:
  podSelector:
    matchLabels: {app: web}
  ingress:
  - from:
    - podSelector: {}
    ports:
    - port: 80
---
apiVersion: v1
kind: ResourceQuota
metadata:
  name: limits
spec:
  hard: {secrets: "10"}
---
apiVersion: v1
kind: LimitRange
metadata:
  name: bounds
spec:
  limits:
  - type: PersistentVolumeClaim
    max: {storage: 10Gi}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: guard
spec:
  minAvailable: 1
  selector:
    matchLabels: {app: web}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: reader
rules:
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
"""

STORAGE: Final = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: claim
spec:
  storageClassName: nowhere
  accessModes: [ReadWriteOnce]
  resources:
    requests: {storage: 1Gi}
"""

KUSTOMIZE: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namePrefix: made-
labels:
- pairs: {made: by-kustomize}
resources: [config.yaml]
configMapGenerator:
- name: generated
  literals: [a=1]
"""

NODE: Final = """\
apiVersion: v1
kind: Node
metadata:
  name: NAME
  labels: {kubernetes.io/hostname: NAME}
spec:
  taints:
  - {key: example.com/empty, effect: NoSchedule}
"""

CRD: Final = {
    "crd.yaml": """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: crontabs.NAME.example.com
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Schedule, type: string, jsonPath: .spec.schedule, description: when it runs}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Phase, type: string, jsonPath: .status.phase, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: runs something again and again
        properties:
          spec:
            type: object
            description: what is wanted
            required: [schedule]
            properties:
              schedule: {type: string, description: when, pattern: '^[0-9* /]+$'}
              replicas: {type: integer, minimum: 0, maximum: 10, default: 1}
          status:
            type: object
            properties:
              phase: {type: string, enum: [Running, Done]}
              replicas: {type: integer}
""",
    "crontab.yaml": """\
apiVersion: NAME.example.com/v1
kind: CronTab
metadata: {name: mine}
spec: {schedule: "* * 1 * *"}
""",
    "crontab-bad.yaml": """\
apiVersion: NAME.example.com/v1
kind: CronTab
metadata: {name: wrong}
spec: {schedule: never, replicas: 11, colour: red}
""",
}

RBAC: Final = {
    "rbac.yaml": """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NAME-ns}
rules:
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: NAME-ns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}
- {kind: ServiceAccount, name: robot, namespace: NAME-ns}
""",
    "escalate.yaml": """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: escalated}
rules:
- apiGroups: [""]
  resources: [secrets]
  verbs: ["*"]
""",
    # a request for the key of user jane; the key itself is nobody's
    "csr.yaml": """\
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: NAME}
spec:
  request: REQUEST
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
""",
}

#: scenario -> name of a file in its folder -> its text; NAME is the scenario's own name
FILES: Final[dict[str, dict[str, str]]] = {
    "read": {"config.yaml": CONFIG},
    # one unknown field: of two, a real server names whichever it comes upon first
    "managers": {
        "bad.yaml": BAD.replace("  colour: red\n", ""),
        "config.yaml": CONFIG,
        "web.yaml": WEB,
    },
    "create": {"config.yaml": CONFIG, "bad.yaml": BAD, "vars.env": "A=1\nB=two\n"},
    "apply": {
        "config.yaml": CONFIG,
        "bad.yaml": BAD,
        "web.yaml": WEB,
        "kustomize/kustomization.yaml": KUSTOMIZE,
        "kustomize/config.yaml": CONFIG,
        "prune.yaml": PRUNE,
        "prune-less.yaml": PRUNE.partition("---")[0],
        "plain.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {b: '2'}\n",
        "plain.json": '{"metadata": {"name": "plain"}, "data": {"c": "3"}}',
        "absent-object.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nobody}\n",
    },
    "change": {"web.yaml": WEB},
    "describe": {
        "web.yaml": WEB,
        "config.yaml": CONFIG,
        "pod.yaml": POD,
        "apps.yaml": APPS,
        "storage.yaml": STORAGE,
    },
    "delete": {"config.yaml": CONFIG, "web.yaml": WEB, "pod.yaml": POD},
    "discovery": CRD,
    "auth": RBAC,
    "nodes": {"node.yaml": NODE},
    "tools": {"config.yaml": CONFIG},
}
