"""What coordinator and workers say to each other (`envelope`, `codec`: pure) and the sockets it goes over."""
