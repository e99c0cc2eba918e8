"""The docs as a site: pages, the reference of `import batchscale`, an executed notebook, a gallery, and their links."""
