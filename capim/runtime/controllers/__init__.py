"""What a control plane's controllers, scheduler and kubelets do behind the API.

`base` what a controller is and may use · `manager` runs them from a queue · `catalog` which there are ·
then one module a controller. A controller is a row of data and one function, shared by all clusters; it
is level-based: given an object's key it looks at what is and makes the next step towards what should be.
To add one: write its module, and name it in `catalog`.
"""
