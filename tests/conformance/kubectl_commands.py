"""The kubectl commands that are run on both sides, by scenario.

A scenario has a namespace and a folder of its own; `$NS` is the namespace, `$NAME` a name that no other
scenario has. A line is what `bash` runs there. A line that begins with `~` reads what controllers
change: it is repeated for a while until both sides say the same. Pods name a scheduler that does not
exist, so that nobody runs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.conformance.kubectl_files import (
    APPS,
    BAD,
    CONFIG,
    CRD,
    KUSTOMIZE,
    NODE,
    POD,
    PRUNE,
    RBAC,
    STORAGE,
    WEB,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Commands that share a namespace; `files` are in their folder, name -> text."""

    name: str
    commands: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)


_SED_EDITOR: Final = "KUBE_EDITOR=\"sed -i 's/colour: .*/colour: edited/'\""


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.strip().splitlines() if line and not line.startswith("#"))


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario(
        "read",
        _lines(r"""
kubectl apply -f config.yaml
kubectl get cm
kubectl get configmaps paint
kubectl get cm/paint -o yaml
kubectl get cm paint -o json
kubectl get cm paint -o name
kubectl get cm paint -o wide
kubectl get cm paint -o jsonpath='{.data.colour}'
kubectl get cm paint -o jsonpath-as-json='{.data}'
kubectl get cm -o go-template='{{range .items}}{{.metadata.name}}{{"\n"}}{{end}}'
kubectl get cm -o custom-columns=NAME:.metadata.name,COLOUR:.data.colour
kubectl get cm paint -o custom-columns=N:.metadata.name --no-headers
kubectl get cm --show-labels
kubectl get cm -L app,tier
kubectl get cm -l app=paint
kubectl get cm -l 'app in (paint,brush),tier!=back'
kubectl get cm -l '!app' -o name
kubectl get cm --selector=absent=1
kubectl get cm --field-selector metadata.name=paint
kubectl get cm --field-selector data.colour=red
kubectl get cm --sort-by=.metadata.name -o name
kubectl get cm --sort-by=.data.colour -o name
kubectl get cm --show-kind
kubectl get cm,secret
kubectl get cm paint brush
kubectl get cm/paint secret/key -o name
kubectl get cm absent
kubectl get cm absent --ignore-not-found
kubectl get absent
kubectl get all
kubectl get cm --chunk-size=1 -o name
kubectl get cm --output-watch-events --watch=false -o name
kubectl get cm paint -w --request-timeout=1s
timeout 2 kubectl get cm paint --watch-only -o name
kubectl get -f config.yaml
kubectl get cm paint --show-managed-fields -o jsonpath='{.metadata.managedFields[*].manager}'
kubectl get ns $NS
kubectl get ns $NS -o wide --show-labels
kubectl get cm -A --field-selector metadata.namespace=$NS
kubectl get sa
kubectl get secret key -o jsonpath='{.data.password}'
kubectl get --raw /api/v1/namespaces/$NS/configmaps/absent
kubectl get --raw /apis/apps/v1/namespaces/$NS/deployments
kubectl get --raw /healthz
kubectl get --raw /readyz/ping
kubectl get --raw /livez
kubectl get --raw /absent
kubectl get --raw /api
kubectl get --raw /.well-known/openid-configuration | cut -c1-10
kubectl get componentstatuses -o name | sort | head -1
"""),
        {"config.yaml": CONFIG},
    ),
    Scenario(
        "create",
        _lines(r"""
kubectl create configmap a --from-literal=x=1 --from-literal=y=2
kubectl create configmap b --from-file=config.yaml
kubectl create cm c --from-env-file=vars.env
kubectl create cm d --from-literal=x=1 --dry-run=client -o yaml
kubectl create cm d --from-literal=x=1 --dry-run=server -o yaml
kubectl create cm a
kubectl create cm Bad_Name
kubectl create secret generic s --from-literal=password=p
kubectl create secret docker-registry r --docker-server=x.example --docker-username=u --docker-password=p
kubectl create secret generic typed --type=example.com/t --from-literal=k=v
kubectl create serviceaccount robot
kubectl create token robot --duration=10m | cut -c1-3
kubectl create token absent
kubectl create role reader --verb=get,list --resource=pods,deployments.apps
kubectl create rolebinding readers --role=reader --serviceaccount=$NS:robot --user=alice
kubectl create clusterrole $NAME --verb=get --resource=nodes
kubectl create clusterrole $NAME-raw --verb=get --non-resource-url=/logs/*
kubectl create clusterrolebinding $NAME --clusterrole=$NAME --group=g
kubectl create quota limits --hard=pods=10,configmaps=20
kubectl create pdb guard --selector=app=web --min-available=1
kubectl create pdb share --selector=app=web --max-unavailable=50%
kubectl create ingress door --rule='web.example.com/*=web:80' --class=none
kubectl create job once --image=busybox -- date
kubectl create cronjob nightly --image=busybox --schedule='0 3 * * *' -- date
kubectl create job now --from=cronjob/nightly
kubectl create cronjob wrong --image=busybox --schedule='never' -- date
kubectl create service clusterip web --tcp=80:8080
kubectl create service nodeport np --tcp=80
kubectl create service externalname ext --external-name=example.com
kubectl create service loadbalancer lb --tcp=443:8443
kubectl create deployment web --image=nginx --replicas=0
kubectl create deployment web2 --image=nginx --replicas=0 --port=80 -o jsonpath='{.spec.template.spec.containers[0].ports}'
kubectl create namespace $NAME
kubectl create ns $NAME
kubectl create priorityclass $NAME --value=7 --description=test
kubectl create -f config.yaml
kubectl create -f bad.yaml
kubectl create -f bad.yaml --validate=false
kubectl create -f bad.yaml --validate=warn
kubectl create -f absent.yaml
kubectl get cm,secret,role,rolebinding,quota,pdb,ingress,cronjob -o name
kubectl get svc
kubectl get svc web -o yaml
kubectl get pdb,quota,ingress,cronjob
kubectl get role,rolebinding
kubectl get clusterrole $NAME $NAME-raw -o name
kubectl get priorityclass $NAME
kubectl get deploy
kubectl get deploy web -o yaml --show-managed-fields=false
kubectl delete clusterrole $NAME $NAME-raw
kubectl delete clusterrolebinding $NAME
kubectl delete priorityclass $NAME
kubectl delete ns $NAME --wait=false
"""),
        {"config.yaml": CONFIG, "bad.yaml": BAD, "vars.env": "A=1\nB=two\n"},
    ),
    Scenario(
        "apply",
        _lines(rf"""
kubectl diff -f config.yaml
kubectl apply -f config.yaml
kubectl apply -f config.yaml
kubectl diff -f config.yaml
sed -i 's/colour: red/colour: green/' config.yaml; kubectl diff -f config.yaml | grep '^[+-] '
kubectl apply -f config.yaml --dry-run=server
kubectl apply -f config.yaml --dry-run=client
kubectl apply -f config.yaml --dry-run=server -o yaml
kubectl apply -f config.yaml
kubectl apply view-last-applied cm paint
kubectl apply view-last-applied cm paint -o json
{_SED_EDITOR} kubectl apply edit-last-applied cm paint
kubectl apply set-last-applied -f config.yaml
kubectl get cm paint -o jsonpath='{{.data}}'
kubectl apply --server-side -f config.yaml
kubectl apply --server-side --field-manager=other -f config.yaml
sed -i 's/colour: green/colour: blue/' config.yaml; kubectl apply --server-side --field-manager=third -f config.yaml
kubectl apply --server-side --field-manager=third --force-conflicts -f config.yaml
kubectl get cm paint -o jsonpath='{{range .metadata.managedFields[*]}}{{.manager}} {{.operation}}{{"\n"}}{{end}}' | sort
kubectl diff --server-side --field-manager=third -f config.yaml
kubectl apply -k kustomize
kubectl kustomize kustomize
kubectl diff -k kustomize
kubectl get -k kustomize -o name
kubectl delete -k kustomize
kubectl apply -f prune.yaml -l part=prune
kubectl apply -f prune-less.yaml -l part=prune --prune --prune-allowlist=core/v1/ConfigMap
kubectl get cm -l part=prune -o name
kubectl apply -f web.yaml
kubectl apply -f web.yaml --server-side --force-conflicts
kubectl apply -f bad.yaml
kubectl apply -f bad.yaml --server-side
{_SED_EDITOR} kubectl edit cm paint
{_SED_EDITOR} kubectl edit cm paint -o json
KUBE_EDITOR=true kubectl edit cm paint
{_SED_EDITOR} kubectl edit cm absent
kubectl create cm plain --from-literal=a=1; kubectl apply -f plain.yaml
kubectl replace -f config.yaml
kubectl replace -f plain.yaml --force
kubectl replace -f absent-object.yaml
kubectl replace --raw /api/v1/namespaces/$NS/configmaps/plain -f plain.json
cat config.yaml | kubectl apply -f -
kubectl delete -f config.yaml --ignore-not-found
kubectl delete -f config.yaml
"""),
        {
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
    ),
    Scenario(
        "change",
        _lines(r"""
kubectl apply -f web.yaml
kubectl patch deploy web -p '{"spec":{"paused":true}}'
kubectl patch deploy web --type=merge -p '{"spec":{"paused":null}}'
kubectl patch deploy web --type=json -p '[{"op":"add","path":"/metadata/labels/x","value":"y"}]'
kubectl patch deploy web --type=json -p '[{"op":"test","path":"/spec/replicas","value":77}]'
kubectl patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}'
kubectl patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}'
kubectl patch deploy web -p '{"spec":{"replicas":"many"}}'
kubectl patch deploy web -p 'not json'
kubectl patch deploy web --subresource=scale --type=merge -p '{"spec":{"replicas":0}}'
kubectl patch deploy absent -p '{}'
kubectl patch -f web.yaml --local -p '{"metadata":{"labels":{"l":"1"}}}' -o jsonpath='{.metadata.labels}'
kubectl label deploy web a=1 b=2
kubectl label deploy web a=2
kubectl label deploy web a=2 --overwrite
kubectl label deploy web a-
kubectl label deploy web absent-
kubectl label deploy --all c=3 --list
kubectl label deploy web 'bad key=1'
kubectl annotate deploy web note='a text'
kubectl annotate deploy web note=other
kubectl annotate deploy web note=other --overwrite
kubectl annotate deploy web note-
kubectl scale deploy web --replicas=1
kubectl scale deploy web --replicas=0 --current-replicas=1
kubectl scale deploy web --replicas=0 --current-replicas=9
kubectl scale deploy absent --replicas=1
kubectl autoscale deploy web --min=1 --max=3 --cpu=50%
kubectl expose deploy web --port=80 --target-port=8080 --name=web-svc
kubectl expose deploy web --port=80 --name=web-svc
kubectl expose deploy web --type=NodePort --port=81 --name=web-np --dry-run=server -o jsonpath='{.spec.type}'
kubectl set image deploy/web web=nginx:3
kubectl set image deploy/web nobody=nginx:3
kubectl set env deploy/web A=1 B=2
kubectl set env deploy/web --list
kubectl set env deploy/web A-
kubectl set env deploy/web --from=configmap/absent
kubectl set resources deploy web --limits=cpu=200m,memory=64Mi --requests=cpu=100m
kubectl set serviceaccount deploy web robot
kubectl set selector svc web-svc app=other
kubectl set subject rolebinding absent --user=x
kubectl get deploy web -o jsonpath='{.spec.template.spec.containers[0]}'
~kubectl get deploy web
~kubectl get svc,hpa
kubectl delete hpa web
kubectl patch svc web-svc -p '{"spec":{"type":"NodePort"}}'
kubectl patch svc web-svc -p '{"spec":{"clusterIP":"10.0.0.250"}}'
"""),
        {"web.yaml": WEB},
    ),
    Scenario(
        "rollout",
        _lines(r"""
kubectl create deployment web --image=nginx:1 --replicas=0
kubectl rollout status deploy/web --timeout=10s
~kubectl rollout history deploy/web
kubectl set image deploy/web nginx=nginx:2
kubectl rollout status deploy/web --timeout=10s
kubectl annotate deploy web kubernetes.io/change-cause='second image'
~kubectl rollout history deploy/web
kubectl rollout history deploy/web --revision=1
kubectl rollout history deploy/web --revision=9
kubectl rollout undo deploy/web --dry-run=server
kubectl rollout undo deploy/web
kubectl rollout status deploy/web --timeout=10s
~kubectl rollout history deploy/web
kubectl rollout undo deploy/web --to-revision=2
kubectl rollout undo deploy/web --to-revision=77
kubectl rollout pause deploy/web
kubectl rollout pause deploy/web
kubectl rollout restart deploy/web
kubectl rollout undo deploy/web
kubectl rollout resume deploy/web
kubectl rollout resume deploy/web
kubectl rollout restart deploy/web
~kubectl get rs -o custom-columns=D:.spec.replicas,R:.metadata.annotations.deployment\\.kubernetes\\.io/revision --sort-by=.metadata.annotations.deployment\\.kubernetes\\.io/revision
~kubectl get deploy web -o jsonpath='{.status}' | sed 's/"lastUpdateTime[^,}]*//g;s/"lastTransitionTime[^,}]*//g'
kubectl wait deploy/web --for=condition=Available --timeout=5s
kubectl wait deploy/web --for=jsonpath='{.spec.replicas}'=0 --timeout=5s
kubectl wait deploy/web --for=condition=Nothing --timeout=1s
kubectl wait deploy/absent --for=delete --timeout=1s
kubectl wait deploy/absent --for=condition=Available --timeout=1s
kubectl delete deploy web
kubectl wait deploy/web --for=delete --timeout=5s
~kubectl get rs
"""),
    ),
    Scenario(
        "describe",
        _lines(r"""
kubectl apply -f web.yaml -f config.yaml -f pod.yaml -f apps.yaml -f storage.yaml
~kubectl get rs,sts,ds,job,cronjob,pvc -o name
kubectl describe cm paint
kubectl describe secret key
kubectl describe sa default
kubectl describe ns $NS
~kubectl describe deploy web
~kubectl describe svc web
~kubectl describe pod lone
~kubectl describe sts set
kubectl describe cronjob nightly
~kubectl describe job once
~kubectl describe pvc claim
kubectl describe ingress door
kubectl describe networkpolicy wall
kubectl describe quota limits
kubectl describe limits bounds
~kubectl describe pdb guard
kubectl describe role reader
kubectl describe absent
kubectl describe pod absent
kubectl describe cm -l app=paint
kubectl describe -f pod.yaml --show-events=false
~kubectl get pods,sts,ds,rs,deploy,job,cronjob,pvc,ingress,networkpolicy,limits,pdb
~kubectl get pods -o wide
~kubectl get deploy,rs,sts,ds -o wide
~kubectl get svc,endpoints,endpointslices -o name
~kubectl get events --field-selector involvedObject.name=lone
~kubectl events --for pod/lone
kubectl logs lone
kubectl logs absent
kubectl exec lone -- date
kubectl exec absent -- date
kubectl attach absent
kubectl cp absent:/etc/hosts hosts
kubectl port-forward pod/lone 0:80
kubectl port-forward pod/absent 0:80
kubectl debug lone --image=busybox --target=absent
kubectl debug absent --image=busybox
kubectl run once2 --image=busybox --restart=Never --overrides='{"spec":{"schedulerName":"nobody"}}'
kubectl run dry --image=busybox --dry-run=server -o yaml
kubectl get pod lone -o yaml
"""),
        {
            "web.yaml": WEB,
            "config.yaml": CONFIG,
            "pod.yaml": POD,
            "apps.yaml": APPS,
            "storage.yaml": STORAGE,
        },
    ),
    Scenario(
        "delete",
        _lines(r"""
kubectl apply -f config.yaml -f web.yaml -f pod.yaml
kubectl delete cm paint
kubectl delete cm paint
kubectl delete cm paint --ignore-not-found
kubectl delete cm brush -o name
kubectl delete secret -l app=paint
kubectl delete secret -l app=paint
kubectl delete pod lone --dry-run=server
kubectl delete pod lone --force --grace-period=0
kubectl apply -f pod.yaml
kubectl delete pod lone --now
kubectl apply -f pod.yaml
kubectl delete pod/lone --grace-period=5
~kubectl get rs -o custom-columns=N:.spec.replicas --no-headers
kubectl delete deploy web --cascade=orphan
kubectl get rs -o custom-columns=N:.spec.replicas --no-headers
kubectl delete rs --all
kubectl apply -f web.yaml
~kubectl get rs -o custom-columns=N:.spec.replicas --no-headers
kubectl delete deploy web --cascade=foreground --timeout=10s
kubectl get rs
kubectl apply -f web.yaml
kubectl delete deploy web --cascade=background
kubectl delete svc --all
kubectl create cm held; kubectl patch cm held -p '{"metadata":{"finalizers":["example.com/held"]}}'
kubectl delete cm held --wait=false
kubectl get cm held -o jsonpath='{.metadata.finalizers}'
kubectl delete cm held --timeout=1s
kubectl patch cm held --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'
kubectl get cm held
kubectl delete all --all
kubectl delete cm --field-selector metadata.name=absent
kubectl delete --raw /api/v1/namespaces/$NS/configmaps/absent
kubectl delete absent x
kubectl delete cm
"""),
        {"config.yaml": CONFIG, "web.yaml": WEB, "pod.yaml": POD},
    ),
    Scenario(
        "discovery",
        _lines(r"""
kubectl api-versions
kubectl api-resources
kubectl api-resources -o wide
kubectl api-resources -o name --namespaced=false
kubectl api-resources --api-group=apps --no-headers
kubectl api-resources --verbs=list,delete -o name
kubectl api-resources --categories=all --sort-by=kind
kubectl api-resources --api-group=absent.example.com
kubectl version
kubectl version -o yaml | grep -c git
kubectl version --client
kubectl cluster-info
kubectl explain pods
kubectl explain pod.spec.containers --recursive
kubectl explain deployment.spec.strategy
kubectl explain deployments --api-version=apps/v1
kubectl explain cronjob.spec.jobTemplate.spec.template.spec --output=plaintext-openapiv2
kubectl explain pods.spec.absent
kubectl explain absent
kubectl explain svc.spec.ports
kubectl explain ingress.spec.rules.http.paths.backend
kubectl explain crd.spec.versions
kubectl explain horizontalpodautoscaler.spec.metrics
kubectl explain node.status.conditions
kubectl apply -f crd.yaml
kubectl wait crd/crontabs.$NAME.example.com --for=condition=Established --timeout=10s
~kubectl get crontabs
kubectl create -f crontab.yaml
kubectl get crontabs
kubectl get ct mine -o yaml
kubectl get ct mine -o wide
kubectl explain crontabs
kubectl explain crontabs.spec
kubectl scale ct mine --replicas=3
kubectl patch ct mine --type=merge -p '{"spec":{"replicas":"x"}}'
kubectl patch ct mine -p '{"spec":{"replicas":2}}'
kubectl patch ct mine --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'
kubectl get ct
kubectl describe ct mine
kubectl create -f crontab-bad.yaml
kubectl api-resources --api-group=$NAME.example.com
kubectl get crd crontabs.$NAME.example.com
kubectl describe crd crontabs.$NAME.example.com
kubectl delete ct --all
kubectl delete crd crontabs.$NAME.example.com
~kubectl get crontabs.$NAME.example.com
"""),
        CRD,
    ),
    Scenario(
        "auth",
        _lines(r"""
kubectl auth can-i create pods
kubectl auth can-i '*' '*'
kubectl auth can-i get pods --as=alice
kubectl auth can-i get /logs/ --as=alice
kubectl auth can-i --list --as=alice --as-group=system:authenticated --as-group=example
kubectl auth whoami --as=alice --as-group=painters
kubectl auth whoami --as=alice -o yaml
kubectl auth reconcile -f rbac.yaml
kubectl auth reconcile -f rbac.yaml --dry-run=server
kubectl auth can-i get cm --as=alice -n $NS
kubectl auth can-i delete cm --as=alice -n $NS
kubectl auth can-i get cm/paint --as=system:serviceaccount:$NS:robot -n $NS
kubectl get cm --as=alice -o name
kubectl delete cm paint --as=alice
kubectl create cm x --as=alice
kubectl get nodes --as=alice
kubectl get role,rolebinding
kubectl describe rolebinding readers
kubectl get clusterrole view -o jsonpath='{.aggregationRule}'
kubectl get clusterroles -o name
kubectl get clusterrolebindings -o name
kubectl describe clusterrole system:basic-user
kubectl create -f escalate.yaml --as=alice
kubectl create -f csr.yaml
kubectl get csr $NAME
kubectl certificate approve $NAME
~kubectl get csr $NAME -o jsonpath='{.status.conditions[*].type}'
kubectl certificate approve absent
kubectl delete csr $NAME
kubectl create -f csr.yaml
kubectl certificate deny $NAME
kubectl get csr $NAME
kubectl certificate approve $NAME
kubectl delete csr $NAME
"""),
        RBAC,
    ),
    Scenario(
        "nodes",
        _lines(r"""
kubectl create -f node.yaml
~kubectl get node $NAME
kubectl get node $NAME -o wide
kubectl cordon $NAME
kubectl cordon $NAME
~kubectl get node $NAME
kubectl uncordon $NAME
kubectl uncordon $NAME
kubectl taint node $NAME k=v:NoSchedule
kubectl taint node $NAME k=v:NoSchedule
kubectl taint node $NAME k=w:NoSchedule --overwrite
kubectl taint node $NAME k=v:Wrong
kubectl taint node $NAME k-
kubectl taint node $NAME k-
kubectl label node $NAME zone=a
~kubectl describe node $NAME
kubectl drain $NAME --ignore-daemonsets --timeout=10s
kubectl drain $NAME --dry-run=server
kubectl drain absent
kubectl cordon absent
kubectl patch node $NAME --subresource=status -p '{"status":{"capacity":{"example.com/x":"1"}}}'
kubectl get nodes -l zone=a
kubectl get nodes --field-selector metadata.name=$NAME -o name
kubectl get node $NAME -o jsonpath='{.status.capacity}'
kubectl delete node $NAME
kubectl get node $NAME
"""),
        {"node.yaml": NODE},
    ),
    Scenario(
        "tools",
        _lines(r"""
kubectl config view
kubectl config current-context
kubectl config get-contexts
kubectl config set-context other --namespace=x
kubectl config use-context absent
kubectl options | head -3
kubectl completion bash | head -1
kubectl plugin list
kubectl help get | head -1
kubectl absent
kubectl get cm --absent-flag
kubectl --context=absent get cm
kubectl --server=https://127.0.0.1:1 get cm
kubectl --token=wrong --kubeconfig=tokenless get cm
(kubectl proxy --port=0 >proxy.txt & pid=$!; for i in 1 2 3 4 5 6 7 8 9 10; do grep -q Starting proxy.txt && break; sleep 0.2; done; kill $pid; sed 's/:[0-9]*$//' proxy.txt)
kubectl create -f config.yaml -o name
kubectl wait --for=create cm/paint --timeout=5s
kubectl get events
kubectl create -f - <<<'{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"'$NS'"},"involvedObject":{"kind":"ConfigMap","name":"paint","namespace":"'$NS'"},"reason":"Painted","message":"it is red","type":"Normal","lastTimestamp":"2026-01-02T03:04:05Z","count":2}'
kubectl get events
kubectl get events -o wide
kubectl events --types=Normal --no-headers
kubectl describe cm paint
kubectl get leases
kubectl get cm paint --v=0 -o jsonpath='{.kind}{"\n"}{.apiVersion}'
kubectl convert -f config.yaml
kubectl alpha
kubectl cluster-info dump --namespaces=$NS -o name | head -2
"""),
        {"config.yaml": CONFIG},
    ),
)

#: "scenario: command" -> why the two sides differ
KNOWN: Final[dict[str, str]] = {}
