"""The objects a kubeadm cluster has before anybody uses it, as pure functions that return JSON.

`nodes` what kubelet and cloud provider write · `pods` the control plane's mirror pods · `kubeadm` what
`kubeadm init` leaves · `addons` kube-proxy and CoreDNS · `defaults` what the API server makes itself.
Field values follow kubeadm's; images and versions come from `capim.api.kubernetes_versions`.
"""
